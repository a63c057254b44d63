// Package profiling takes profiles of the processes of a system, from their admin
// listeners, and keeps the last of them in files that pprof reads.
package profiling

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
)

// Target is a process to be looked into.
type Target struct {
	Service, Instance, Version string
	// Admin is the address of its admin listener.
	Admin string
}

// Options say whom to profile, and where the profiles are kept.
type Options struct {
	// Dir is the folder of the profiles.
	Dir string
	// Find knows the process that somebody calls by its instance or its service.
	Find func(name string) (Target, error)
	// Settings give the limits; nil: their defaults.
	Settings *config.Settings
	// Metrics gets the warren_profiles_* metrics; nil: none.
	Metrics prometheus.Registerer
	Logger  *slog.Logger
}

// Service takes and keeps profiles.
type Service struct {
	observev1.UnimplementedProfileServiceServer
	find      func(string) (Target, error)
	client    *http.Client
	shelf     *shelf
	limits    limits
	metrics   *metrics
	recording atomic.Int64
}

// Open makes the folder, and serves what is in it.
func Open(opts Options) (*Service, error) {
	l := watch(opts.Settings)
	s := &Service{find: opts.Find, client: &http.Client{}, limits: l}
	var err error
	if s.metrics, err = newMetrics(opts.Metrics, s); err != nil {
		return nil, err
	}
	s.shelf = &shelf{dir: opts.Dir, kept: l.kept.Get, bytes: l.bytes.Get, dropped: s.metrics.dropped.Inc, log: cmp.Or(opts.Logger, slog.Default())}
	if err := s.shelf.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Take records a profile of a process, and keeps it.
func (s *Service) Take(ctx context.Context, req *observev1.TakeProfileRequest) (_ *observev1.TakeProfileResponse, err error) {
	defer func() { s.metrics.ended(req.GetKind(), err) }()
	length, err := s.lengthOf(req)
	if err != nil {
		return nil, err
	}
	target, err := s.find(req.GetInstance())
	if err != nil {
		return nil, err
	}
	defer s.recording.Add(-1)
	if now, most := s.recording.Add(1), s.limits.atOnce.Get(); now > int64(most) {
		return nil, status.Errorf(codes.ResourceExhausted,
			"%d profiles are being recorded already, and the setting profiles.at_once allows no more; try again in a while", now-1)
	}
	data, err := s.record(ctx, target, req.GetKind(), length)
	if err != nil {
		return nil, err
	}
	about := &observev1.Profile{
		Service: target.Service, Instance: target.Instance, Version: target.Version, Kind: req.GetKind(),
		Time: timestamppb.Now(), Size: int64(len(data)),
	}
	if length > 0 {
		about.Duration = durationpb.New(length)
	}
	if err := s.shelf.add(about, data); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &observev1.TakeProfileResponse{Profile: about, Data: data}, nil
}

// lengthOf is for how long to record; zero where a kind is of one moment.
func (s *Service) lengthOf(req *observev1.TakeProfileRequest) (time.Duration, error) {
	length, most := req.GetDuration().AsDuration(), s.limits.most.Get()
	if length < 0 || length > most {
		return 0, status.Errorf(codes.InvalidArgument, "record for %s at most, as the setting profiles.duration.max says, not %s", most, length)
	}
	switch req.GetKind() {
	case observev1.ProfileKind_PROFILE_KIND_CPU, observev1.ProfileKind_PROFILE_KIND_MUTEX, observev1.ProfileKind_PROFILE_KIND_BLOCK:
		return cmp.Or(length, min(s.limits.duration.Get(), most)), nil
	case observev1.ProfileKind_PROFILE_KIND_ALLOCS:
		return length, nil
	case observev1.ProfileKind_PROFILE_KIND_HEAP, observev1.ProfileKind_PROFILE_KIND_GOROUTINE:
		return 0, nil
	}
	return 0, status.Error(codes.InvalidArgument, "name a kind: cpu, heap, allocs, goroutine, mutex or block")
}

// List returns what is kept.
func (s *Service) List(_ context.Context, req *observev1.ListProfilesRequest) (*observev1.ListProfilesResponse, error) {
	all, err := s.shelf.list()
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	of := req.GetInstance()
	return &observev1.ListProfilesResponse{Profiles: slices.DeleteFunc(all, func(p *observev1.Profile) bool {
		return of != "" && p.GetService() != of && p.GetInstance() != of
	})}, nil
}

// Get returns one that is kept.
func (s *Service) Get(_ context.Context, req *observev1.GetProfileRequest) (*observev1.GetProfileResponse, error) {
	about, data, err := s.shelf.get(strings.ToLower(req.GetId()))
	if err != nil {
		return nil, err
	}
	return &observev1.GetProfileResponse{Profile: about, Data: data}, nil
}
