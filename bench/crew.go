package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gowarren/warren/bench/internal/branch"
	"github.com/gowarren/warren/bench/internal/sagas"
	"github.com/gowarren/warren/registry"

	txnv1 "github.com/gowarren/warren/bench/api/bench/txn/v1"
)

// kind is a coordinator on a store.
type kind struct {
	name  string
	store string // the kinds on one store are compared
	start func(*stage, context.Context, *crew) error
}

// kinds are the contestants. The first on a store is what the others there are
// compared to.
var kinds = []kind{
	{"DTM, BoltDB", "embedded", func(s *stage, ctx context.Context, c *crew) error { return s.dtm(ctx, c, "", 0) }},
	{"Warren, SQLite", "embedded", func(s *stage, ctx context.Context, c *crew) error { return s.warrenCrew(ctx, c, "") }},
	{"DTM, PostgreSQL", "PostgreSQL", func(s *stage, ctx context.Context, c *crew) error { return s.dtmPostgres(ctx, c, 0) }},
	{"DTM, PostgreSQL, branches updated at once", "PostgreSQL", func(s *stage, ctx context.Context, c *crew) error { return s.dtmPostgres(ctx, c, 1) }},
	{"Warren, PostgreSQL", "PostgreSQL", func(s *stage, ctx context.Context, c *crew) error {
		url, err := s.postgres.create(ctx, c.folder)
		if err != nil {
			return err
		}
		return s.warrenCrew(ctx, c, url)
	}},
}

// crew is a coordinator with those who take part, and its clients: a process
// each.
type crew struct {
	kind
	folder      string // of its files; its database is named after it
	rounds      int
	coordinator *process
	participant *process
	client      *process
	// again starts the coordinator where it was.
	again func(context.Context) error
}

// crew starts one that has nothing to remember.
func (s *stage) crew(ctx context.Context, k kind) (*crew, error) {
	s.crews++
	c := &crew{kind: k, folder: fmt.Sprintf("crew-%d", s.crews)}
	if err := os.Mkdir(filepath.Join(s.dir, c.folder), 0o700); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	if err := k.start(s, ctx, c); err != nil {
		return nil, fmt.Errorf("start %s: %w", k.name, err)
	}
	var ready sagas.Result
	if err := c.client.out.Decode(&ready); err != nil {
		return nil, fmt.Errorf("start the clients of %s: %w: %s", k.name, err, c.client.stderr.text)
	}
	// The first connections are made now, and whoever is wrong is found out.
	_, err := c.run(sagas.Order{Clients: 1, Count: 3})
	return c, err
}

// run has the clients run sagas under a prefix of their own, and checks that
// those who take part know of each as much as they must.
func (c *crew) run(o sagas.Order) (sagas.Result, error) {
	c.rounds++
	o.Prefix = fmt.Sprintf("%s-%d-", c.folder, c.rounds)
	var r sagas.Result
	if err := c.client.ask(o, &r, o.Warm+o.Duration+2*time.Minute); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s: a saga did not take place: %s\n%s", c.name, r.Error, c.coordinator.stderr.text)
	}
	if o.Kind != sagas.Waited {
		return r, nil
	}
	report, err := c.report(branch.Order{Prefix: o.Prefix})
	if err == nil && (report.Exact != r.All || report.Repeated+report.Half+report.Undone > 0) {
		err = fmt.Errorf("%s claims %d sagas, and those who took part saw %+v", c.name, r.All, report)
	}
	return r, err
}

func (c *crew) report(o branch.Order) (branch.Report, error) {
	var r branch.Report
	err := c.participant.ask(o, &r, 30*time.Second)
	return r, err
}

func (c *crew) stop() {
	for _, p := range []*process{c.client, c.coordinator, c.participant} {
		p.stop()
	}
}

// warrenCrew starts Warren's coordinator, by the command that the supervisor
// starts it by. All meet by TCP, as between machines, and as DTM's do.
func (s *stage) warrenCrew(ctx context.Context, c *crew, database string) error {
	var at [2]string
	var err error
	for i := range at {
		if at[i], err = freeAddress(); err != nil {
			return err
		}
	}
	if err := s.writeSystem(); err != nil {
		return err
	}
	if c.participant, err = s.warrenProcess(ctx, "txnwarren", c.folder+"/branch", at[0], "static:"); err != nil {
		return err
	}
	list, err := json.Marshal(map[string]any{"instances": []registry.Instance{{
		ID: "branch/1", Service: "branch", Address: at[0], State: registry.Ready,
		Contracts: []string{txnv1.BranchService_ServiceDesc.ServiceName, txnv1.HungService_ServiceDesc.ServiceName},
	}}})
	if err != nil {
		return err
	}
	file := filepath.Join(s.dir, c.folder, "instances.yaml")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return fmt.Errorf("write list of instances: %w", err)
	}
	command := []string{"coordinator"}
	if database != "" {
		command = append(command, "--database", database)
	}
	c.again = func(ctx context.Context) (err error) {
		c.coordinator, err = s.warrenProcess(ctx, "warren", c.folder+"/coordinator", at[1], "static://"+file, command...)
		return err
	}
	if err := c.again(ctx); err != nil {
		return err
	}
	c.client, err = s.start("txnwarren", "", "client", "--service", at[1], "--traces", s.traces.address)
	return err
}

// dtmPostgres makes DTM's tables with its own script.
func (s *stage) dtmPostgres(ctx context.Context, c *crew, sync int) error {
	if _, err := s.postgres.create(ctx, c.folder); err != nil {
		return err
	}
	where := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dtm-labs/dtm")
	where.Dir = "dtm"
	dir, err := where.Output()
	if err != nil {
		return fmt.Errorf("find DTM's tables: %w", err)
	}
	tables, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "sqls", "dtmsvr.storage.postgres.sql"))
	if err != nil {
		return fmt.Errorf("find DTM's tables: %w", err)
	}
	database := strings.ReplaceAll(c.folder, "-", "_")
	if err := s.postgres.sql(ctx, database, string(tables)); err != nil {
		return err
	}
	return s.dtm(ctx, c, fmt.Sprintf("Driver: postgres, Host: %s, Port: %s, User: warren, Password: none, Db: %s", s.postgres.host, s.postgres.port, database), sync)
}

// dtm starts DTM, configured by its defaults but for its log, which would write
// several lines per saga.
func (s *stage) dtm(ctx context.Context, c *crew, store string, sync int) error {
	var at [4]string
	var ports [4]string
	for i := range at {
		var err error
		if at[i], err = freeAddress(); err != nil {
			return err
		}
		if _, ports[i], err = net.SplitHostPort(at[i]); err != nil {
			return err
		}
	}
	if store == "" {
		store = "Driver: boltdb"
	}
	file := filepath.Join(s.dir, c.folder, "dtm.yml")
	text := fmt.Sprintf("Store: {%s}\nHttpPort: %s\nGrpcPort: %s\nJsonRpcPort: %s\nUpdateBranchSync: %d\nLogLevel: error\n", store, ports[0], ports[1], ports[2], sync)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write DTM's configuration: %w", err)
	}
	var err error
	if c.participant, err = s.start("txndtm", "", "service", "--address", at[3]); err != nil {
		return err
	}
	if err := listening(ctx, at[3]); err != nil {
		return fmt.Errorf("wait for those who take part: %w\n%s", err, c.participant.stderr.text)
	}
	c.again = func(ctx context.Context) (err error) {
		cmd := exec.Command(filepath.Join(s.dir, "dtm"), "-c", file)
		cmd.Dir = filepath.Join(s.dir, c.folder) // where BoltDB's file is
		if c.coordinator, err = s.launch("dtm", "", cmd); err != nil {
			return err
		}
		if err := listening(ctx, at[1]); err != nil {
			return fmt.Errorf("wait for DTM: %w\n%s", err, c.coordinator.stderr.text)
		}
		return nil
	}
	if err := c.again(ctx); err != nil {
		return err
	}
	c.client, err = s.start("txndtm", "", "client", "--service", at[1], "--address", at[3])
	return err
}
