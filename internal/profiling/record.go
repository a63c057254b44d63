package profiling

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// record asks a process for a profile. What its runtime counts from the start on
// is asked for twice, where only a span of time is wanted.
func (s *Service) record(ctx context.Context, t Target, kind observev1.ProfileKind, length time.Duration) ([]byte, error) {
	seconds := "?seconds=" + strconv.FormatFloat(length.Seconds(), 'f', -1, 64)
	switch kind {
	case observev1.ProfileKind_PROFILE_KIND_CPU:
		return s.fetch(ctx, t, "profile"+seconds, length)
	case observev1.ProfileKind_PROFILE_KIND_HEAP:
		return s.fetch(ctx, t, "heap?gc=1", 0)
	case observev1.ProfileKind_PROFILE_KIND_MUTEX:
		return s.between(ctx, t, "mutex", "mutex"+seconds, length)
	case observev1.ProfileKind_PROFILE_KIND_BLOCK:
		return s.between(ctx, t, "block", "block"+seconds, length)
	case observev1.ProfileKind_PROFILE_KIND_ALLOCS:
		if length > 0 {
			return s.between(ctx, t, "allocs", "allocs"+seconds, length)
		}
		return s.fetch(ctx, t, "allocs", 0)
	}
	return s.fetch(ctx, t, "goroutine", 0)
}

// fetch asks for one profile.
func (s *Service) fetch(ctx context.Context, t Target, what string, length time.Duration) ([]byte, error) {
	maxBytes := s.limits.size.Get()
	ctx, cancel := context.WithTimeout(ctx, length+s.limits.patience.Get())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Admin+"/debug/pprof/"+what, nil)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, fmt.Sprintf("profile %s: %v", t.Instance, err))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, status.Error(codes.Unavailable, fmt.Sprintf("profile %s: %v", t.Instance, err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, int64(maxBytes)+1))
	switch {
	case err != nil:
		return nil, status.Error(codes.Unavailable, fmt.Sprintf("profile %s: %v", t.Instance, err))
	case resp.StatusCode == http.StatusConflict:
		return nil, status.Error(codes.FailedPrecondition, fmt.Sprintf("profile %s: somebody records one of it now; try again in a while", t.Instance))
	case resp.StatusCode != http.StatusOK:
		const enough = 200
		why := strings.TrimSpace(string(data[:min(len(data), enough)]))
		return nil, status.Error(codes.FailedPrecondition, fmt.Sprintf("profile %s: %s %s", t.Instance, resp.Status, why))
	case len(data) > maxBytes:
		return nil, status.Error(codes.ResourceExhausted, fmt.Sprintf(
			"profile %s: it has more than the %d bytes that the setting profiles.size allows", t.Instance, maxBytes))
	}
	return data, nil
}

// between is what was counted from now on, until the second answer.
func (s *Service) between(ctx context.Context, t Target, before, after string, length time.Duration) ([]byte, error) {
	first, err := s.fetch(ctx, t, before, 0)
	if err != nil {
		return nil, err
	}
	second, err := s.fetch(ctx, t, after, length)
	if err != nil {
		return nil, err
	}
	data, err := difference(first, second, length)
	if err != nil {
		return nil, status.Error(codes.Internal, fmt.Sprintf("profile %s: %v", t.Instance, err))
	}
	return data, nil
}

// difference takes away from a profile what was there before.
func difference(before, after []byte, length time.Duration) ([]byte, error) {
	first, err := profile.ParseData(before)
	if err != nil {
		return nil, err
	}
	second, err := profile.ParseData(after)
	if err != nil {
		return nil, err
	}
	first.Scale(-1)
	out, err := profile.Merge([]*profile.Profile{second, first})
	if err != nil {
		return nil, err
	}
	out.TimeNanos, out.DurationNanos, out.DefaultSampleType = second.TimeNanos, length.Nanoseconds(), second.DefaultSampleType
	var b bytes.Buffer
	err = out.Write(&b)
	return b.Bytes(), err
}
