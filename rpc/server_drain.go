package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// drainLook is how often a draining server looks whether it is alone.
const drainLook = 10 * time.Millisecond

// DrainReport says how a drain went.
type DrainReport struct {
	// MovedOn says that callers stopped calling before the server closed.
	MovedOn bool
	// Cut is how many calls and streams were ended before they had finished.
	Cut int
}

// InFlight returns how many calls and streams are being handled, without
// health and reflection.
func (s *Server) InFlight() int { return int(s.inFlight.Load()) }

// OpenConns returns how many connections are open.
func (s *Server) OpenConns() int { return s.conns.count() }

func (s *Server) beginDrain() {
	s.drain.Do(func() {
		s.health.Shutdown()
		close(s.draining)
	})
}

// halt stops gRPC at once, whoever is silent.
func (s *Server) halt() {
	stopped := make(chan struct{})
	go func() {
		s.grpc.Stop()
		close(stopped)
	}()
	// Those that were accepted while the listeners closed come late.
	ticker := time.NewTicker(drainLook)
	defer ticker.Stop()
	for {
		s.conns.close(true)
		select {
		case <-stopped:
			return
		case <-ticker.C:
		}
	}
}

// Drain ends the server gently. Call it when callers have been told, through
// the registry, to go elsewhere: it waits until they have, lets what runs
// finish, and stops what is left at the end of the context or of
// rpc.drain.timeout.
func (s *Server) Drain(ctx context.Context) DrainReport {
	ctx, cancel := context.WithTimeout(ctx, s.settings.drainTime.Get())
	defer cancel()
	s.beginDrain()
	report := DrainReport{MovedOn: s.awaitQuiet(ctx)}
	ended := make(chan struct{})
	go func() {
		s.conns.close(true)
		s.grpc.GracefulStop()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		report.Cut = s.InFlight()
		s.halt()
	}
	for _, stop := range s.stops {
		stop()
	}
	return report
}

// awaitQuiet waits until no connection is open or no call has begun for a
// while, for half of the time there is: callers that never learn must not cost
// those that run their time to finish.
func (s *Server) awaitQuiet(ctx context.Context) bool {
	ticker := time.NewTicker(drainLook)
	defer ticker.Stop()
	began := time.Now()
	var bound <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		timer := time.NewTimer(time.Until(deadline) / 2)
		defer timer.Stop()
		bound = timer.C
	}
	for !s.quietSince(began) {
		select {
		case <-ticker.C:
		case <-bound:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// quietSince reports whether callers have moved on, watched from began on.
func (s *Server) quietSince(began time.Time) bool {
	if s.OpenConns() == 0 {
		return true
	}
	last := time.Unix(0, s.lastCall.Load())
	if last.Before(began) {
		last = began
	}
	return time.Since(last) >= s.settings.drainQuiet.Get()
}

// openRegistrar registers what is open to everybody. Its streams end when the
// server begins to: who watches our health must not keep us from going.
type openRegistrar struct{ server *Server }

// GetServiceInfo returns all services of the server, for reflection.
func (r openRegistrar) GetServiceInfo() map[string]grpc.ServiceInfo {
	return r.server.grpc.GetServiceInfo()
}

// RegisterService registers the service beside the contracts.
func (r openRegistrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	open := *desc
	open.Streams = make([]grpc.StreamDesc, len(desc.Streams))
	for i, d := range desc.Streams {
		handle := d.Handler
		d.Handler = func(srv any, stream grpc.ServerStream) error {
			ended := make(chan error, 1)
			go func() { ended <- handle(srv, stream) }()
			select {
			case err := <-ended:
				return err
			case <-r.server.draining:
				// The handler ends with its stream, which ends with us.
				return status.Error(codes.Unavailable, "the server is going away")
			}
		}
		open.Streams[i] = d
	}
	r.server.grpc.RegisterService(&open, impl)
}
