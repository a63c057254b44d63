package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/disktest"
	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
)

func TestMain(m *testing.M) { os.Exit(disktest.Main(m, onFullDisk)) }

// A disk that takes no more bytes costs what comes meanwhile, counted; what was
// written is found, nobody waits, and it goes on by itself.
func TestDiskTakesNoMore(t *testing.T) { disktest.Run(t) }

// noise is a trace that does not compress.
func noise(n int) ptrace.Traces {
	var text strings.Builder
	for i := uint64(n)*7919 + 1; text.Len() < 20_000; i = i*6364136223846793005 + 1442695040888963407 {
		fmt.Fprintf(&text, "%x ", i)
	}
	td := traces(call{trace: 9, service: "s", name: "noise", start: time.Now(), attrs: map[string]any{"noise": text.String()}})
	td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetTraceID([16]byte{9, 9, byte(n), byte(n >> 8), byte(n >> 16)})
	return td
}

func onFullDisk(disk *disktest.Disk) error {
	a, err := archive.Open(archive.Options{Dir: disk.Dir, Limits: limits, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	sent := int64(0)
	add := func(td ptrace.Traces) error {
		sent += int64(td.SpanCount())
		if err := a.AddTraces(td); err != nil && !errors.Is(err, archive.ErrBusy) {
			return err
		}
		return nil
	}
	if err := add(traces(call{trace: 1, service: "s", name: "before", start: time.Now()})); err != nil {
		return err
	}
	if err := disktest.Within("the first to be written", func() bool { return a.Stats().Spans == 1 }); err != nil {
		return err
	}
	if err := disk.Fill(disk.Dir, 256<<10); err != nil {
		return err
	}
	n := 0
	err = disktest.Within("the disk to be full", func() bool {
		n++
		err = add(noise(n))
		return err != nil || a.Stats().Problem != "" && a.Stats().Dropped["disk"].Spans > 0
	})
	if err != nil {
		return err
	}
	found, err := a.SearchTraces(archive.TraceSearch{Service: "s", Limit: 1000, Patience: patience})
	if err != nil || len(found.Items) == 0 || found.Items[len(found.Items)-1].Trace != (segment.ID{1, 1}) {
		return fmt.Errorf("what was written is not found on a full disk: %d, %w", len(found.Items), err)
	}
	if err := disk.Clear(); err != nil {
		return err
	}
	if err := add(traces(call{trace: 2, service: "s", name: "after", start: time.Now()})); err != nil {
		return err
	}
	if err := disktest.Within("the disk to take what comes", func() bool {
		_, spans, err := a.Trace(segment.ID{2, 1})
		return err == nil && len(spans) == 1 && a.Stats().Problem == "" && a.Stats().Queued == 0
	}); err != nil {
		return err
	}
	st := a.Stats()
	if kept, lost := st.Spans, st.Dropped["disk"].Spans+st.Dropped["queue"].Spans; kept+lost != sent || len(st.Broken) > 0 {
		return fmt.Errorf("of %d spans %d are kept and %d counted as lost: %+v", sent, kept, lost, st)
	}
	return a.Close()
}

// The last of the disk is left to the services.
func TestReserve(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	a := open(t, t.TempDir(), func(o *archive.Options) {
		o.Limits = func() archive.Limits { l := limits(); l.Reserve = 1 << 30; return l }
		o.Free = func() (int64, error) { return free.Load(), nil }
	})
	add(t, a, call{trace: 1, service: "s", name: "n", start: time.Now()})
	free.Store(1 << 20)
	eventually(t, "what comes to be dropped", func() bool {
		if err := a.AddTraces(traces(call{trace: 2, service: "s", name: "n", start: time.Now()})); err != nil {
			t.Fatal(err)
		}
		return a.Stats().Dropped["disk"].Spans > 0 && strings.Contains(a.Stats().Problem, "1024 MiB")
	})
	free.Store(1 << 40)
	eventually(t, "what comes to be taken", func() bool {
		if err := a.AddTraces(traces(call{trace: 3, service: "s", name: "n", start: time.Now()})); err != nil {
			t.Fatal(err)
		}
		return a.Stats().Problem == "" && bytes.Contains(search(t, a, archive.TraceSearch{}), []byte{3})
	})
}
