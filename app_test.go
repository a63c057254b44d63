package warren_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gowarren/warren"
	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/warrentest"
)

// keys is a service small enough to test the life of any.
type keys struct {
	authv1.UnimplementedKeysServiceServer
	get func(context.Context) (*authv1.GetKeysResponse, error)
}

func (k *keys) GetKeys(ctx context.Context, _ *authv1.GetKeysRequest) (*authv1.GetKeysResponse, error) {
	if k.get == nil {
		return &authv1.GetKeysResponse{}, nil
	}
	return k.get(ctx)
}

func serve(get func(context.Context) (*authv1.GetKeysResponse, error)) func(context.Context, *warren.App) error {
	return func(_ context.Context, app *warren.App) error {
		authv1.RegisterKeysServiceServer(app, &keys{get: get})
		return nil
	}
}

func TestServicesFindEachOtherByContract(t *testing.T) {
	sys := warrentest.New(t)
	one := &structpb.Struct{Fields: map[string]*structpb.Value{"kid": structpb.NewStringValue("one")}}
	sys.Run("keys", serve(func(context.Context) (*authv1.GetKeysResponse, error) {
		return &authv1.GetKeysResponse{Keys: []*structpb.Struct{one}}, nil
	}))
	var app *warren.App
	sys.Run("caller", func(_ context.Context, a *warren.App) error {
		app = a
		a.Needs(authv1.KeysService_ServiceDesc.ServiceName)
		return nil
	})
	resp, err := authv1.NewKeysServiceClient(app).GetKeys(t.Context(), &authv1.GetKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.GetKeys()[0].GetFields()["kid"].GetStringValue(); got != "one" {
		t.Errorf("key: got %q, want one", got)
	}
}

func TestStartOrderDoesNotMatter(t *testing.T) {
	sys := warrentest.New(t)
	caller := sys.Start("caller", func(_ context.Context, app *warren.App) error {
		app.Needs(authv1.KeysService_ServiceDesc.ServiceName)
		return nil
	})
	waiting := eventually(t, "the caller to be announced", func() (registry.Instance, bool) { return find(sys, caller.ID) })
	body := eventually(t, "the caller to say what it waits for", func() (string, bool) {
		status, body := get(t, "http://"+waiting.Admin+"/readyz")
		return body, status == http.StatusServiceUnavailable && strings.Contains(body, "warren.auth.v1.KeysService")
	})
	if waiting.State != registry.Starting || !strings.Contains(body, "nobody serves") {
		t.Errorf("while it waits: %s, %s", waiting.State, body)
	}
	sys.Run("keys", serve(nil))
	sys.Ready(caller)
	if status, body := get(t, "http://"+waiting.Admin+"/readyz"); status != http.StatusOK {
		t.Errorf("once ready: %d %s", status, body)
	}
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	sys := warrentest.New(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	instance := sys.Run("keys", serve(func(context.Context) (*authv1.GetKeysResponse, error) {
		if calls.Add(1) == 1 {
			close(entered)
			<-leave
		}
		return &authv1.GetKeysResponse{}, nil
	}))
	result := make(chan error, 1)
	go func() {
		_, err := authv1.NewKeysServiceClient(sys.Client()).GetKeys(t.Context(), &authv1.GetKeysRequest{})
		result <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- instance.Stop() }()
	eventually(t, "the instance to be marked draining", func() (registry.Instance, bool) {
		i, ok := find(sys, instance.ID)
		return i, ok && i.State == registry.Draining
	})
	close(leave)
	if err := <-result; err != nil {
		t.Errorf("the call that ran: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the end: %v", err)
	}
	eventually(t, "the instance to leave the registry", func() (registry.Instance, bool) {
		i, ok := find(sys, instance.ID)
		return i, !ok
	})
}

func TestPanicIsOneErrorToOneCaller(t *testing.T) {
	sys := warrentest.New(t)
	var calls atomic.Int32
	sys.Run("keys", serve(func(context.Context) (*authv1.GetKeysResponse, error) {
		if calls.Add(1) == 1 {
			panic("out of cheese")
		}
		return &authv1.GetKeysResponse{}, nil
	}))
	client := authv1.NewKeysServiceClient(sys.Client())
	_, err := client.GetKeys(t.Context(), &authv1.GetKeysRequest{})
	if e := rpc.FromError(err); err == nil || e.Code != codes.Internal || strings.Contains(e.Message, "cheese") {
		t.Errorf("the caller got %v, want an internal error that says nothing of the cause", err)
	}
	if _, err := client.GetKeys(t.Context(), &authv1.GetKeysRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestSetupErrorsEndTheProcess(t *testing.T) {
	sys := warrentest.New(t)
	wrong := errors.New("no such thing as a free lunch")
	instance := sys.Start("broken", func(context.Context, *warren.App) error { return wrong })
	<-instance.Done()
	// Stop reports how it ended; that it did not end well is what we want.
	if err := instance.Stop(); !errors.Is(err, wrong) || !strings.Contains(err.Error(), "set up service broken") {
		t.Errorf("got %v", err)
	}
	instance.Expect(wrong)
}

func TestHooksRunInReverseAndAllErrorsAreTold(t *testing.T) {
	sys := warrentest.New(t)
	first, second := errors.New("first"), errors.New("second")
	order := make(chan string, 2)
	instance := sys.Run("keys", func(_ context.Context, app *warren.App) error {
		app.OnStop(func(context.Context) error { order <- "first"; return first })
		app.OnStop(func(context.Context) error { order <- "second"; return second })
		return nil
	})
	err := instance.Stop()
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("errors: got %v, want both", err)
	}
	if got := [2]string{<-order, <-order}; got != [2]string{"second", "first"} {
		t.Errorf("order: %v", got)
	}
	instance.Expect(first)
}

func TestBackgroundWorkBeginsAgain(t *testing.T) {
	sys := warrentest.New(t)
	began := make(chan int32, 10)
	var count atomic.Int32
	sys.Run("worker", func(_ context.Context, app *warren.App) error {
		app.Go("work", func(ctx context.Context) error {
			n := count.Add(1)
			began <- n
			switch n {
			case 1:
				return errors.New("not today")
			case 2:
				panic("never")
			}
			<-ctx.Done()
			return ctx.Err()
		})
		return nil
	})
	for want := int32(1); want <= 3; want++ {
		select {
		case got := <-began:
			if got != want {
				t.Fatalf("work began for the %d. time, want %d.", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("work did not begin for the %d. time", want)
		}
	}
}

func TestInstancesInvalidateOneAnothersCaches(t *testing.T) {
	sys := warrentest.New(t)
	var caches [2]*cache.Cache[string, string]
	var loads [2]atomic.Int32
	for i := range caches {
		sys.Run("keys", func(_ context.Context, app *warren.App) (err error) {
			caches[i], err = cache.New(cache.Options[string, string]{Name: "names", TTL: time.Hour, Max: 10, Invalidator: app.Peers()})
			return err
		})
	}
	read := func(i int) {
		t.Helper()
		_, err := caches[i].Get(t.Context(), "ada", func(context.Context, string) (string, error) {
			return fmt.Sprint("load ", loads[i].Add(1)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read(0)
	read(1)
	// An instance that has just started may not know the other one yet.
	eventually(t, "the other instance to forget", func() (struct{}, bool) {
		if err := caches[0].Invalidate(t.Context(), "ada"); err != nil {
			t.Fatal(err)
		}
		before := loads[1].Load()
		read(1)
		return struct{}{}, loads[1].Load() == before+1
	})
	before := loads[0].Load()
	read(0)
	if loads[0].Load() != before+1 {
		t.Error("the instance itself remembers")
	}
}

// While the registry does not hold an instance, the others do not know whom to
// tell: what it remembers from then may be wrong.
func TestCachesAreClearedWhenTheRegistrationWasLost(t *testing.T) {
	sys := warrentest.New(t)
	var names *cache.Cache[string, string]
	sys.Run("keys", func(_ context.Context, app *warren.App) (err error) {
		names, err = cache.New(cache.Options[string, string]{Name: "names", TTL: time.Hour, Max: 10, Invalidator: app.Peers()})
		return err
	})
	loads := 0
	read := func() int {
		_, err := names.Get(t.Context(), "ada", func(context.Context, string) (string, error) {
			loads++
			return "Ada", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return loads
	}
	if read(); read() != 1 {
		t.Fatal("the cache does not remember")
	}
	u, err := url.Parse(sys.URL())
	if err != nil {
		t.Fatal(err)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{u.Host}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	leases, err := etcd.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, lease := range leases.Leases {
		if _, err := etcd.Revoke(t.Context(), lease.ID); err != nil {
			t.Fatal(err)
		}
	}
	for want := 2; want <= 3; want++ { // at once, and when the others have noticed
		eventually(t, "the cache to forget", func() (struct{}, bool) { return struct{}{}, read() == want })
	}
}

func TestTheEdgeFollowsTheContracts(t *testing.T) {
	sys := warrentest.New(t)
	url := sys.Gateway()
	if status, _ := get(t, url+"/.well-known/jwks.json"); status != http.StatusNotFound {
		t.Errorf("before anybody serves it: %d, want 404", status)
	}
	instance := sys.Run("keys", serve(nil))
	eventually(t, "the route to appear", func() (int, bool) {
		status, _ := get(t, url+"/.well-known/jwks.json")
		return status, status == http.StatusOK
	})
	if err := instance.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the route to say that nobody is there", func() (int, bool) {
		status, _ := get(t, url+"/.well-known/jwks.json")
		return status, status == http.StatusServiceUnavailable
	})
}
