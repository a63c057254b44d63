package supervisor

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/fleet"
)

// defaultTail is how many lines of each instance are sent to who names no number.
const defaultTail = 100

// Follow sends every line of every service from now on until ctx ends.
func (s *Supervisor) Follow(ctx context.Context) <-chan fleet.Line { return s.fleet.Follow(ctx) }

func (f *fleetService) Logs(req *fleetv1.LogsRequest, stream grpc.ServerStreamingServer[fleetv1.LogsResponse]) error {
	tail := int(req.GetTail())
	if tail <= 0 {
		tail = defaultTail
	}
	var follow <-chan fleet.Line
	if req.GetFollow() {
		follow = f.supervisor.Follow(stream.Context()) // before the tail, so that no line falls between
	}
	lines, err := f.supervisor.tail(req.GetServices(), tail)
	if err != nil {
		return status.Error(codes.NotFound, err.Error())
	}
	for _, line := range lines {
		if err := stream.Send(lineToProto(line)); err != nil {
			return err
		}
	}
	return f.follow(req.GetServices(), follow, stream)
}

// tail returns the last lines of what is named, or of all services, in the
// order in which they were written.
func (s *Supervisor) tail(names []string, n int) ([]fleet.Line, error) {
	if len(names) == 0 {
		names = []string{""}
	}
	var out []fleet.Line
	for _, name := range names {
		lines := s.logs.Tail(ownLog, n)
		if name != ownLog {
			var err error
			if lines, err = s.fleet.Tail(name, n); err != nil {
				return nil, err
			}
		}
		out = append(out, lines...)
	}
	slices.SortStableFunc(out, func(a, b fleet.Line) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// follow sends what is wanted until the caller has enough. The supervisor's
// own lines are for those who name it.
func (f *fleetService) follow(names []string, lines <-chan fleet.Line, stream grpc.ServerStreamingServer[fleetv1.LogsResponse]) error {
	wanted := func(l fleet.Line) bool {
		if len(names) == 0 {
			return l.Service != ownLog
		}
		return slices.Contains(names, l.Service) || slices.Contains(names, l.Instance)
	}
	for lines != nil {
		select {
		case line := <-lines:
			if !wanted(line) {
				continue
			}
			if err := stream.Send(lineToProto(line)); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
	return nil
}

func lineToProto(l fleet.Line) *fleetv1.LogsResponse {
	return &fleetv1.LogsResponse{Instance: l.Instance, Time: timestamppb.New(l.Time), Line: l.Text}
}
