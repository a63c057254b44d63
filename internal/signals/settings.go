package signals

import (
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/signals/archive"
)

const (
	mebibyte = 1 << 20
	day      = 24 * time.Hour
)

func bytesSetting() config.Setting[int] {
	return config.Int("signals.bytes", 1024*mebibyte, 16*mebibyte, 1<<50,
		"how much room traces and logs may take on disk; the oldest go first")
}

func retentionSetting() config.Setting[time.Duration] {
	return config.Duration("signals.retention", 7*day, time.Hour, 365*day, "how long traces and logs are kept, if there is room")
}

func slowSetting() config.Setting[time.Duration] {
	return config.Duration("signals.slow", time.Second, time.Millisecond, time.Hour,
		"traces that took as long are kept longer when room is short, as are those that failed or belong to a transaction")
}

func sampleSetting() config.Setting[float64] {
	return config.Float("signals.sample", 0.05, 0, 1, "the share of the other traces that is kept when room is short")
}

func queueSetting() config.Setting[int] {
	return config.Int("signals.queue", 64*mebibyte, mebibyte, 1<<40,
		"bytes of traces and logs that may wait to be written; beyond them senders are told to come again")
}

func spansSetting() config.Setting[int] {
	return config.Int("signals.trace_spans", 10_000, 100, 1_000_000, "how many spans of one trace are kept; the others are counted")
}

func reserveSetting() config.Setting[int] {
	return config.Int("signals.reserve", 128*mebibyte, 0, 1<<50,
		"bytes of the disk that are left to the services: with less free, traces and logs are dropped and counted")
}

// Definitions are the settings of the store.
func Definitions() []config.Definition {
	return []config.Definition{
		bytesSetting().Definition(), retentionSetting().Definition(), slowSetting().Definition(),
		sampleSetting().Definition(), queueSetting().Definition(), spansSetting().Definition(), reserveSetting().Definition(),
	}
}

// settings are the store's limits, as they are set.
type settings struct {
	bytes, queue, spans, reserve *config.Value[int]
	retention, slow              *config.Value[time.Duration]
	sample                       *config.Value[float64]
}

// watch follows settings; without any, the defaults hold.
func watch(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		bytes: config.Watch(from, bytesSetting(), all), queue: config.Watch(from, queueSetting(), all),
		spans: config.Watch(from, spansSetting(), all), retention: config.Watch(from, retentionSetting(), all),
		slow: config.Watch(from, slowSetting(), all), sample: config.Watch(from, sampleSetting(), all),
		reserve: config.Watch(from, reserveSetting(), all),
	}
}

func (s *Signals) limits() archive.Limits {
	now := s.settings.Load()
	return archive.Limits{
		Bytes: int64(now.bytes.Get()), Retention: now.retention.Get(), Slow: now.slow.Get(),
		Sample: now.sample.Get(), QueueBytes: int64(now.queue.Get()), TraceSpans: now.spans.Get(),
		Reserve: int64(now.reserve.Get()),
	}
}
