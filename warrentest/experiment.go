package warrentest

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/experiment"
	"github.com/gowarren/warren/internal/node"
)

// Experiment puts the faults of a file into the system, as warren experiment
// run does, until stop, or until their time is over. Instances obey a moment
// later; there must be one that has obeyed settings. None can be killed here.
func (s *System) Experiment(path string) (stop func()) {
	s.t.Helper()
	reqs, err := experiment.ReadFile(path)
	s.check("read the experiments", err)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	driver, err := node.OpenConfig(ctx, s.url)
	s.check("open the centre", err)
	s.t.Cleanup(func() { s.report("close the centre", driver.Close()) })
	centre, err := config.NewCentre(driver, environment)
	s.check("open the centre", err)
	const length = 5 * time.Minute
	var running []*observev1.Experiment
	for _, req := range reqs {
		if req.GetFault().GetKill() != nil {
			s.t.Fatalf("experiments in %s: services of a test are not processes: end an instance with Stop", path)
		}
		e := &observev1.Experiment{
			Name: req.GetName(), Fault: req.GetFault(), Reason: req.GetReason(), Author: "test", Ends: timestamppb.New(time.Now().Add(length)),
		}
		if d := req.GetDuration().AsDuration(); d > 0 {
			e.Ends = timestamppb.New(time.Now().Add(d))
		}
		s.inject(ctx, centre, e)
		running = append(running, e)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			for _, e := range running {
				s.report("end the experiment", experiment.Withdraw(ctx, centre, e, "test", "the test has seen it"))
			}
		})
	}
	s.t.Cleanup(stop) // before the driver is closed
	return stop
}

// environment is that of a test's system.
const environment = "local"

// inject tries until the services have said which settings they have, which
// they do in the background.
func (s *System) inject(ctx context.Context, centre *config.Centre, e *observev1.Experiment) {
	s.t.Helper()
	const pause = 20 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := experiment.Inject(ctx, centre, e)
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.check("begin the experiment", err)
		}
	}
}
