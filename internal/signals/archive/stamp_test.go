package archive_test

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

func stamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }
