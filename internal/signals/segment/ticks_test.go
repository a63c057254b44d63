package segment_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/signals/segment"
)

// Lines of a clock that only knows seconds have one time, however many they are:
// they are written as fast as others, and keep their order.
func TestLinesOfOneSecond(t *testing.T) {
	const batches, each = 10, 2000
	s := create(t, t.TempDir())
	second := time.Now().Truncate(time.Second).UnixNano()
	began := time.Now()
	for b := range batches {
		batch := &segment.Batch{}
		for n := range each {
			batch.Lines = append(batch.Lines, &segment.Line{ID: second, Level: segment.LevelInfo, Service: "s", Message: strconv.Itoa(b*each + n)})
		}
		write(t, s, batch)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("%d lines took %s", batches*each, took)
	}
	found, err := s.After(segment.LineQuery{Window: segment.Window{From: second, To: second + int64(time.Second)}, Limit: batches * each})
	if err != nil || len(found) != batches*each {
		t.Fatalf("%d lines, %v", len(found), err)
	}
	for n, l := range found {
		if l.Message != strconv.Itoa(n) {
			t.Fatalf("line %d is %s", n, l.Message)
		}
	}
}
