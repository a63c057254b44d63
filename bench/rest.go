package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gowarren/warren/registry"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
	"github.com/gowarren/warren/bench/internal/load"
)

// pair is a contestant: an HTTP front and the service behind it.
type pair struct {
	name           string
	address        string // of the front
	path           string // the id is appended
	token          string
	front, service *process
}

// rest measures the way from an HTTP request through a front to a service in
// another process and back.
func (s *stage) rest(ctx context.Context, p plan) (table, error) {
	defer s.stop()
	t := table{name: "rest", unit: "request", processes: true}
	pairs, err := s.pairs(ctx)
	if err != nil {
		return t, err
	}
	for _, c := range pairs {
		if err := c.check(ctx); err != nil {
			return t, fmt.Errorf("check the answers of %s: %w; %s\n%s", c.name, err, c.front.stderr.text, c.service.stderr.text)
		}
	}
	if err := s.profile(ctx, p, pairs); err != nil {
		return t, err
	}
	for round := range p.rounds {
		for i := range pairs {
			c := pairs[(i+round)%len(pairs)] // nobody always comes after the same one
			m, err := s.measurePair(ctx, p, c)
			if err != nil {
				return t, fmt.Errorf("%s: %w", c.name, err)
			}
			t.add(c.name, m)
			fmt.Fprintf(os.Stderr, "round %d/%d: %-40s %s\n", round+1, p.rounds, c.name, m)
		}
	}
	return t.ordered(names(pairs)), nil
}

func names(pairs []*pair) []string {
	var out []string
	for _, c := range pairs {
		out = append(out, c.name)
	}
	return out
}

func (s *stage) measurePair(ctx context.Context, p plan, c *pair) (sample, error) {
	before, busy, err := c.usage(ctx)
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	result, used, err := s.load(ctx, load.Order{
		Address: c.address, Path: c.path, Token: c.token, Connections: p.connections, Warm: p.warm, Duration: p.duration,
	})
	if err != nil {
		return sample{}, fmt.Errorf("%w; %s\n%s", err, c.front.stderr.text, c.service.stderr.text)
	}
	after, busyAfter, err := c.usage(ctx)
	if err != nil {
		return sample{}, err
	}
	u, n := after.minus(before), float64(result.All)
	strangers := busyAfter - busy - u.cpu - used
	s.others = append(s.others, float64(strangers)/float64(time.Since(start))/float64(runtime.NumCPU()))
	return sample{
		rate: float64(result.Requests) / result.Elapsed.Seconds(), cpu: micros(u.cpu) / n, mallocs: u.mallocs / n, bytes: u.bytes / n,
		p50: micros(result.P50), p99: micros(result.P99), resident: float64(u.resident) / (1 << 20),
	}, nil
}

// usage is that of both processes, and the time that the machine was busy.
func (c *pair) usage(ctx context.Context) (usage, time.Duration, error) {
	front, err := c.front.usage(ctx)
	if err != nil {
		return usage{}, 0, err
	}
	service, err := c.service.usage(ctx)
	if err != nil {
		return usage{}, 0, err
	}
	busy, err := machineBusy()
	return front.plus(service), busy, err
}

// load runs the load generator, and returns the processor time it took.
func (s *stage) load(ctx context.Context, o load.Order) (load.Result, time.Duration, error) {
	order, err := json.Marshal(o)
	if err != nil {
		return load.Result{}, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Warm+o.Duration+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, "load"))
	cmd.Stdin = bytes.NewReader(order)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return load.Result{}, 0, fmt.Errorf("run load: %w: %s", err, complaint.Bytes())
	}
	var result load.Result
	err = json.Unmarshal(out, &result)
	return result, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

// check compares answers with what they must be: equal in content, and in size
// but for the white space that protojson varies.
func (c *pair) check(ctx context.Context) error {
	for _, n := range []int{0, 7, catalog.Size - 1} {
		id := catalog.ID(n)
		body, err := get(ctx, "http://"+c.address+c.path+id, c.token)
		if err != nil {
			return err
		}
		p, err := catalog.New().GetProduct(ctx, &catalogv1.GetProductRequest{Id: id})
		if err != nil {
			return err
		}
		expected, err := protojson.Marshal(p)
		if err != nil {
			return err
		}
		got, size, err := normal(body)
		if err != nil {
			return err
		}
		want, wantSize, err := normal(expected)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) || size != wantSize {
			return fmt.Errorf("product %s: got %s, want %s", id, body, expected)
		}
	}
	return nil
}

// normal is what an answer says, and its size without white space.
func normal(body []byte) (content any, size int, err error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		return nil, 0, fmt.Errorf("read answer %q: %w", body, err)
	}
	err = json.Unmarshal(body, &content)
	return content, compact.Len(), err
}

// pairs starts all contestants. The first is what the others are compared to.
func (s *stage) pairs(ctx context.Context) ([]*pair, error) {
	var out []*pair
	for _, c := range []struct{ name, program string }{
		{"net/http + protojson → grpc-go, nothing else", "plain"},
		{"go-zero rest → zrpc", "gozero"},
		{"Kratos http → grpc", "kratos"},
	} {
		if len(out) > 0 && !s.wanted(c.name) {
			continue
		}
		p, err := s.peer(ctx, c.program)
		if err != nil {
			return nil, err
		}
		p.name = c.name
		out = append(out, p)
	}
	ours, err := s.warren(ctx)
	for _, p := range ours {
		if s.wanted(p.name) {
			out = append(out, p)
		}
	}
	return out, err
}

func (s *stage) wanted(name string) bool { return strings.Contains(name, s.match) }

func (s *stage) peer(ctx context.Context, program string) (*pair, error) {
	var at [4]string
	for i := range at {
		var err error
		if at[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	p := &pair{address: at[1], path: "/v1/products/"}
	var err error
	if p.service, err = s.start(program, at[2], "service", "--address", at[0], "--probe", at[2], "--traces", s.traces.address); err != nil {
		return nil, err
	}
	// A service that is not there yet would open a circuit breaker in front.
	if err := listening(ctx, at[0]); err != nil {
		return nil, fmt.Errorf("wait for the service of %s: %w\n%s", program, err, p.service.stderr.text)
	}
	p.front, err = s.start(program, at[3], "front", "--address", at[1], "--service", at[0], "--probe", at[3], "--traces", s.traces.address)
	return p, err
}

// warren starts one service and two gateways, of which one must not know that
// the service is on the same machine. The registry is a list: who keeps it is
// not what is measured, and a call does not touch it.
func (s *stage) warren(ctx context.Context) ([]*pair, error) {
	if err := s.writeSystem(); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	service, err := s.warrenProcess(ctx, "warren-service", "catalog", address, "static:")
	if err != nil {
		return nil, err
	}
	here := registry.Instance{
		ID: "catalog/1", Service: "catalog", Address: address, State: registry.Ready,
		Contracts: []string{catalogv1.CatalogService_ServiceDesc.ServiceName},
	}
	near := here
	near.Host, near.Socket = registry.HostIdentity(), filepath.Join(s.dir, "catalog", "run", "catalog-1.sock")
	bySocket, err := s.gateway(ctx, "socket", near)
	if err != nil {
		return nil, err
	}
	byNetwork, err := s.gateway(ctx, "network", here)
	if err != nil {
		return nil, err
	}
	open, members := "/v1/products/", "/v1/members/products/"
	return []*pair{
		{name: "Warren, by TCP", address: byNetwork.address, path: open, front: byNetwork.process, service: service},
		{name: "Warren", address: bySocket.address, path: open, front: bySocket.process, service: service},
		{name: "Warren, signed in", address: bySocket.address, path: members, token: s.keys.token, front: bySocket.process, service: service},
	}, nil
}

// writeSystem writes the system file and the secret that gateway and service
// know one another by.
func (s *stage) writeSystem() error {
	file := fmt.Sprintf("system: bench\nservices:\n  catalog: {path: ./warren}\nauth: {issuer: %s, audience: %s, keys: %q}\n", issuerName, issuerName, s.keys.address)
	if err := os.WriteFile(filepath.Join(s.dir, "warren.yaml"), []byte(file), 0o600); err != nil {
		return fmt.Errorf("write system file: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "key"), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		return fmt.Errorf("write the system's secret: %w", err)
	}
	return nil
}

type gateway struct {
	address string
	process *process
}

// gateway starts a gateway whose registry holds the one instance.
func (s *stage) gateway(ctx context.Context, name string, instance registry.Instance) (gateway, error) {
	list := filepath.Join(s.dir, name+".yaml")
	text, err := json.Marshal(map[string]any{"instances": []registry.Instance{instance}}) // JSON is YAML
	if err != nil {
		return gateway{}, err
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return gateway{}, fmt.Errorf("write list of instances: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return gateway{}, err
	}
	p, err := s.warrenProcess(ctx, "warren", name, address, "static://"+list, "gateway")
	return gateway{address, p}, err
}

// warrenProcess starts one of Warren's programs with everything that a process
// of a system is told, and waits until it listens. The name is that of its
// folder; the last part of it, that of the service.
func (s *stage) warrenProcess(ctx context.Context, program, name, address, list string, command ...string) (*process, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := s.start(program, admin, append(command,
		"--system", "bench", "--service", path.Base(name), "--instance", path.Base(name)+"/1", "--registry", list,
		"--config", "file://"+filepath.Join(s.dir, "settings.json"), "--system-file", filepath.Join(s.dir, "warren.yaml"),
		"--key-file", filepath.Join(s.dir, "key"), "--traces", "otlp://"+s.traces.address, "--data", filepath.Join(s.dir, name),
		"--address", address, "--admin", admin, "--log-format", "json")...)
	if err != nil {
		return nil, err
	}
	if _, err := get(ctx, "http://"+admin+"/readyz", ""); err != nil {
		return nil, fmt.Errorf("wait for %s: %w\n%s", name, err, p.stderr.text)
	}
	return p, nil
}

// profile takes CPU profiles of Warren's processes under load.
func (s *stage) profile(ctx context.Context, p plan, pairs []*pair) error {
	if s.profiles == "" {
		return nil
	}
	for _, c := range pairs {
		if !strings.HasPrefix(c.name, "Warren") {
			continue
		}
		errs := make(chan error, 3)
		go func() {
			_, _, err := s.load(ctx, load.Order{
				Address: c.address, Path: c.path, Token: c.token, Connections: p.connections, Warm: p.warm, Duration: p.duration,
			})
			errs <- err
		}()
		go func() { errs <- s.takeProfile(ctx, p, c.name+" gateway", c.front) }()
		go func() { errs <- s.takeProfile(ctx, p, c.name+" service", c.service) }()
		for range cap(errs) {
			if err := <-errs; err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) takeProfile(ctx context.Context, p plan, name string, of *process) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", of.probe, max(1, int(p.duration.Seconds())))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	return os.WriteFile(filepath.Join(s.profiles, fileName(name)+".pprof"), body, 0o600)
}

func fileName(name string) string { return strings.NewReplacer(",", "", " ", "-").Replace(name) }
