package fleet

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// A slot that drains and the one that takes its place are told apart by the
// registry, or the end of the first would take the second out of it.
func TestNoTwoProcessesHaveOneIdentity(t *testing.T) {
	f, err := New(t.Context(), Plan{Data: t.TempDir(), Grace: func(string) time.Duration { return time.Minute }, Services: []ServicePlan{
		{Name: "catalog", Program: os.Args[0], Args: []string{"stubborn"}, Replicas: 1},
	}}, Options{Presence: newPresence(), Events: func(Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	fx := &fixture{Fleet: f, presence: newPresence()}
	t.Cleanup(func() {
		for _, s := range f.Status() {
			if s.PID > 0 { // 0 would be everybody around us
				_ = syscall.Kill(s.PID, syscall.SIGKILL)
			}
		}
		f.Stop()
	})
	f.Start(nil)
	lines := func() int { return len(f.logs.Tail("catalog/1", 10)) }
	first := fx.until(t, "a process", func(s Status) bool { return s.PID != 0 && lines() == 1 })
	gone := make(chan error, 1)
	go func() { gone <- f.Scale("catalog", 0) }()
	fx.until(t, "the drain", func(s Status) bool { return s.State == Draining })
	if err := f.Scale("catalog", 1); err != nil {
		t.Fatal(err)
	}
	second := fx.until(t, "another process", func(s Status) bool { return s.PID != 0 && s.PID != first.PID && lines() == 2 })
	if second.Instance == first.Instance {
		t.Errorf("both are %s", first.Instance)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
	// The other may not be left with a minute to drain.
	stopped := make(chan struct{})
	go func() { defer close(stopped); f.Stop() }()
	fx.until(t, "its drain", func(s Status) bool { return s.State == Draining })
	_ = syscall.Kill(second.PID, syscall.SIGKILL)
	<-stopped
}

func TestStoppedProcessHearsThatItShallEnd(t *testing.T) {
	fx := start(t, ServicePlan{Name: "catalog", Args: []string{"serve"}, Replicas: 1})
	fx.until(t, "a process", func(s Status) bool { return s.State == Ready && len(fx.logs.Tail("catalog/1", 1)) == 1 })
	if err := fx.Kill("catalog/1", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	fx.Stop()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s: the grace was waited for", took)
	}
}
