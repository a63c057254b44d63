package profiling_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/internal/admin"
	"github.com/gowarren/warren/internal/flame"
	"github.com/gowarren/warren/internal/profiling"
)

const (
	cpu       = observev1.ProfileKind_PROFILE_KIND_CPU
	goroutine = observev1.ProfileKind_PROFILE_KIND_GOROUTINE
	mutex     = observev1.ProfileKind_PROFILE_KIND_MUTEX
)

// process is a process with an admin listener: this one, or one that answers
// otherwise.
func process(t *testing.T, h http.Handler) profiling.Target {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return profiling.Target{Service: "order", Instance: "order/1", Version: "v2", Admin: strings.TrimPrefix(server.URL, "http://")}
}

func open(t *testing.T, dir string, target profiling.Target, settings *config.Settings) *profiling.Service {
	t.Helper()
	return counted(t, dir, target, settings, nil)
}

func counted(t *testing.T, dir string, target profiling.Target, settings *config.Settings, metrics prometheus.Registerer) *profiling.Service {
	t.Helper()
	s, err := profiling.Open(profiling.Options{Dir: dir, Settings: settings, Metrics: metrics, Find: func(name string) (profiling.Target, error) {
		if name != "order" && name != "order/1" {
			return profiling.Target{}, status.Error(codes.NotFound, "no "+name)
		}
		return target, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func take(kind observev1.ProfileKind, length time.Duration) *observev1.TakeProfileRequest {
	return &observev1.TakeProfileRequest{Instance: "order", Kind: kind, Duration: durationpb.New(length)}
}

// TestEveryKind takes each kind of this process, and reads it.
func TestEveryKind(t *testing.T) {
	s := open(t, t.TempDir(), process(t, admin.New(admin.Options{})), nil)
	stop := quarrel()
	defer stop()
	for number, name := range observev1.ProfileKind_name {
		if number == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			taken, read := recorded(t, s, observev1.ProfileKind(number))
			p := taken.GetProfile()
			for began := time.Now(); read.Total == 0 && p.GetKind() >= mutex && time.Since(began) < time.Minute; {
				taken, read = recorded(t, s, p.GetKind()) // on a busy machine nobody may have waited just then
				p = taken.GetProfile()
			}
			if p.GetInstance() != "order/1" || p.GetVersion() != "v2" || p.GetSize() != int64(len(taken.GetData())) || p.GetTime() == nil {
				t.Errorf("%v", p)
			}
			switch p.GetKind() {
			case goroutine, observev1.ProfileKind_PROFILE_KIND_HEAP:
				if p.GetDuration() != nil {
					t.Errorf("it is of one moment, not of %s", p.GetDuration().AsDuration())
				}
			case mutex, observev1.ProfileKind_PROFILE_KIND_BLOCK:
				if read.Total == 0 {
					t.Error("nobody waited for anybody")
				}
			}
			found, err := s.Get(t.Context(), &observev1.GetProfileRequest{Id: p.GetId()})
			if err != nil || string(found.GetData()) != string(taken.GetData()) || found.GetProfile().GetId() != p.GetId() {
				t.Errorf("kept: %v, %v", found.GetProfile(), err)
			}
		})
	}
	all, err := s.List(t.Context(), &observev1.ListProfilesRequest{Instance: "order/1"})
	if err != nil || len(all.GetProfiles()) < len(observev1.ProfileKind_name)-1 {
		t.Errorf("%d are listed, %v", len(all.GetProfiles()), err)
	}
	if none, _ := s.List(t.Context(), &observev1.ListProfilesRequest{Instance: "order/2"}); len(none.GetProfiles()) != 0 {
		t.Errorf("of another: %v", none)
	}
}

func recorded(t *testing.T, s *profiling.Service, kind observev1.ProfileKind) (*observev1.TakeProfileResponse, *flame.Profile) {
	t.Helper()
	taken, err := s.Take(t.Context(), take(kind, 100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	read, err := flame.Read(taken.GetData(), "")
	if err != nil {
		t.Fatal(err)
	}
	return taken, read
}

// quarrel has goroutines wait for a mutex and for a channel, until it is stopped.
func quarrel() (stop func()) {
	var mu sync.Mutex
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	bell := make(chan bool)
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				_ = strings.Repeat("x", 1<<16)
				mu.Unlock()
				select {
				case bell <- true:
				case <-bell:
				case <-ctx.Done():
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// TestKept lets the oldest go, and reads them again after a restart.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	settings, err := config.New(config.Options{
		Definitions: profiling.Definitions(), File: config.FileLayer{Entries: []config.FileEntry{{Name: "profiles.kept", Value: "2"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer settings.Close()
	target := process(t, admin.New(admin.Options{}))
	s := open(t, dir, target, settings)
	var ids []string
	for _, kind := range []observev1.ProfileKind{goroutine, observev1.ProfileKind_PROFILE_KIND_HEAP, observev1.ProfileKind_PROFILE_KIND_ALLOCS} {
		taken, err := s.Take(t.Context(), take(kind, 0))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, taken.GetProfile().GetId())
	}
	if err := os.WriteFile(filepath.Join(dir, "19700101-000000-000-order-1-cpu.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := open(t, dir, target, settings).List(t.Context(), &observev1.ListProfilesRequest{})
	if err != nil || len(all.GetProfiles()) != 2 || all.GetProfiles()[0].GetId() != ids[2] || all.GetProfiles()[1].GetId() != ids[1] {
		t.Errorf("kept %v of %v, %v", all.GetProfiles(), ids, err)
	}
	for _, id := range []string{ids[0], "nothing", "../../etc/passwd", ""} {
		if _, err := s.Get(t.Context(), &observev1.GetProfileRequest{Id: id}); status.Code(err) != codes.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestRefused says why there is no profile.
func TestRefused(t *testing.T) {
	large := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 4<<20)) })
	taken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "cpu profiling already in use", http.StatusConflict)
	})
	away := process(t, large)
	away.Admin = "127.0.0.1:1"
	self := process(t, admin.New(admin.Options{}))
	for name, c := range map[string]struct {
		target  profiling.Target
		request *observev1.TakeProfileRequest
		code    codes.Code
		says    string
	}{
		"no kind":       {self, take(0, 0), codes.InvalidArgument, "name a kind"},
		"too long":      {self, take(cpu, time.Minute), codes.InvalidArgument, "record for 30s at most, as the setting profiles.duration.max says, not 1m0s"},
		"nobody":        {self, &observev1.TakeProfileRequest{Instance: "ordre", Kind: cpu}, codes.NotFound, "no ordre"},
		"too large":     {process(t, large), take(goroutine, 0), codes.ResourceExhausted, "more than the 3145728 bytes that the setting profiles.size allows"},
		"at it":         {process(t, taken), take(cpu, 0), codes.FailedPrecondition, "somebody records one"},
		"not there":     {away, take(goroutine, 0), codes.Unavailable, "order/1"},
		"not one of us": {process(t, http.NotFoundHandler()), take(goroutine, 0), codes.FailedPrecondition, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := open(t, dir, c.target, nil).Take(t.Context(), c.request)
			if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.says) {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("kept: %v", left)
			}
		})
	}
}

// TestLimitsAreLive changes each limit while the service runs: the next profile
// obeys, and the metrics tell.
func TestLimitsAreLive(t *testing.T) {
	driver, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "settings.json")})
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	settings, err := config.New(config.Options{Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	defer settings.Close()
	centre, err := config.NewCentre(driver, "local")
	if err != nil {
		t.Fatal(err)
	}
	if err := centre.Define(t.Context(), "warren", profiling.Definitions()); err != nil {
		t.Fatal(err)
	}
	set := func(name, value string) {
		t.Helper()
		if _, err := centre.Set(t.Context(), []config.Edit{{Name: name, New: &value}}, "test", "to see"); err != nil {
			t.Fatal(err)
		}
	}
	const room = 400 << 10
	asked, answer := make(chan string, 100), make(chan bool, 100)
	registry := prometheus.NewRegistry()
	s := counted(t, t.TempDir(), process(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RawQuery
		<-answer
		_, _ = w.Write(make([]byte, room))
	})), settings, registry)
	taken := func(req *observev1.TakeProfileRequest) (string, error) {
		answer <- true
		_, err := s.Take(t.Context(), req)
		select {
		case query := <-asked:
			return query, err
		default:
			<-answer
			return "", err
		}
	}
	refused := func(req *observev1.TakeProfileRequest, because string) func() bool {
		return func() bool {
			_, err := taken(req)
			return err != nil && strings.Contains(err.Error(), because)
		}
	}

	set("profiles.duration.max", "2s")
	eventually(t, "a long one to be refused", refused(take(cpu, 3*time.Second), "record for 2s at most"))
	set("profiles.duration", "1500ms")
	eventually(t, "the usual length", func() bool {
		query, err := taken(take(cpu, 0))
		return err == nil && query == "seconds=1.5"
	})
	set("profiles.bytes", "1048576") // two of them
	eventually(t, "the oldest to go", func() bool {
		_, err := taken(take(goroutine, 0))
		return err == nil && gauge(t, registry, "warren_profiles_kept") == 2 && gauge(t, registry, "warren_profiles_kept_bytes") > 2*room
	})
	set("profiles.size", "1024")
	eventually(t, "a large one to be refused", refused(take(goroutine, 0), "more than the 1024 bytes"))
	set("profiles.size", "3145728")
	set("profiles.at_once", "1")
	eventually(t, "a second one at once to be refused", func() bool {
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := s.Take(t.Context(), take(goroutine, 0))
				ended <- err
			}()
		}
		<-asked
		recording := gauge(t, registry, "warren_profiles_recording")
		select {
		case <-asked: // it is not in force yet
			answer <- true
			answer <- true
			<-ended
			<-ended
			return false
		case err := <-ended:
			answer <- true
			return <-ended == nil && recording >= 1 && err != nil && strings.Contains(err.Error(), "profiles.at_once allows no more")
		}
	})
	set("profiles.patience", "1s")
	eventually(t, "one that does not answer to be given up", func() bool {
		began := time.Now()
		_, err := s.Take(t.Context(), take(goroutine, 0))
		took := time.Since(began)
		<-asked
		answer <- true
		return status.Code(err) == codes.Unavailable && took < 20*time.Second
	})
	for _, outcome := range []string{"taken", "refused", "failed"} {
		if gauge(t, registry, "warren_profiles_total", "outcome", outcome) == 0 {
			t.Errorf("none was %s", outcome)
		}
	}
	if gauge(t, registry, "warren_profiles_dropped_total") == 0 || gauge(t, registry, "warren_profiles_recording") != 0 {
		t.Error("none had to make room, or one is recorded yet")
	}
}

// gauge is the sum of a metric, of the series with the labels.
func gauge(t *testing.T, from prometheus.Gatherer, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(labels) == 0 || slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == labels[0] && l.GetValue() == labels[1] }) {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestAtOnce bounds what is recorded at the same time.
func TestAtOnce(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	s := open(t, t.TempDir(), process(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-answer
	})), nil)
	var all sync.WaitGroup
	const most = 4
	for range most {
		all.Go(func() { _, _ = s.Take(context.Background(), take(goroutine, 0)) })
	}
	for range most {
		<-asked
	}
	if _, err := s.Take(t.Context(), take(goroutine, 0)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more: %v", err)
	}
	close(answer)
	all.Wait()
}
