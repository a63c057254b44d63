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
	"time"

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
	Logger   *slog.Logger
}

const (
	// maxBytes bounds a profile, which has to fit into one message.
	maxBytes = 3 << 20
	// usual is how long is recorded where nobody says, and longest the most.
	usual, longest = 5 * time.Second, 30 * time.Second
	// atOnce bounds what is recorded at the same time.
	atOnce = 4
)

// Service takes and keeps profiles.
type Service struct {
	observev1.UnimplementedProfileServiceServer
	find   func(string) (Target, error)
	client *http.Client
	shelf  *shelf
	turns  chan struct{}
}

// Open makes the folder, and serves what is in it.
func Open(opts Options) (*Service, error) {
	kept := config.Watch(opts.Settings, settingKept, config.Scope{})
	s := &shelf{dir: opts.Dir, kept: kept.Get, log: cmp.Or(opts.Logger, slog.Default())}
	if err := s.open(); err != nil {
		return nil, err
	}
	return &Service{find: opts.Find, client: &http.Client{}, shelf: s, turns: make(chan struct{}, atOnce)}, nil
}

// Take records a profile of a process, and keeps it.
func (s *Service) Take(ctx context.Context, req *observev1.TakeProfileRequest) (*observev1.TakeProfileResponse, error) {
	length, err := lengthOf(req)
	if err != nil {
		return nil, err
	}
	target, err := s.find(req.GetInstance())
	if err != nil {
		return nil, err
	}
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	default:
		return nil, status.Errorf(codes.ResourceExhausted, "%d profiles are being recorded already; try again in a while", atOnce)
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
func lengthOf(req *observev1.TakeProfileRequest) (time.Duration, error) {
	length := req.GetDuration().AsDuration()
	if length < 0 || length > longest {
		return 0, status.Errorf(codes.InvalidArgument, "record for %s at most, not %s", longest, length)
	}
	switch req.GetKind() {
	case observev1.ProfileKind_PROFILE_KIND_CPU, observev1.ProfileKind_PROFILE_KIND_MUTEX, observev1.ProfileKind_PROFILE_KIND_BLOCK:
		return cmp.Or(length, usual), nil
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
