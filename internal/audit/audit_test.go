package audit_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/audit"
)

type fleet struct {
	fleetv1.UnimplementedFleetServiceServer
}

func (fleet) Kill(_ context.Context, req *fleetv1.KillRequest) (*fleetv1.KillResponse, error) {
	if req.GetInstance() == "nobody/1" {
		return nil, status.Error(codes.NotFound, "kill nobody/1: no such replica")
	}
	return &fleetv1.KillResponse{}, nil
}

func (fleet) List(context.Context, *fleetv1.ListRequest) (*fleetv1.ListResponse, error) {
	return &fleetv1.ListResponse{}, nil
}

// served is an API with an audit in a file, whose log goes to out.
func served(t *testing.T, path string, out io.Writer, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	list := &audit.Log{File: &audit.File{Path: path}, Owner: "root", Logger: slog.New(slog.NewJSONHandler(out, nil))}
	server := grpc.NewServer(grpc.UnaryInterceptor(list.Unary))
	fleetv1.RegisterFleetServiceServer(server, fleet{})
	observev1.RegisterAuditServiceServer(server, list)
	l := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///audit", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestWhatIsDoneIsWrittenDown does things by a command, by a console and without
// a name, and finds them in one list, the last one first.
func TestWhatIsDoneIsWrittenDown(t *testing.T) {
	var log strings.Builder
	conn := served(t, filepath.Join(t.TempDir(), "kept", "audit.jsonl"), &log, audit.Caller{Via: audit.CLI}.DialOptions()...)
	plain := served(t, filepath.Join(t.TempDir(), "audit.jsonl"), io.Discard)
	kill := func(ctx context.Context, conn *grpc.ClientConn, req *fleetv1.KillRequest) error {
		_, err := fleetv1.NewFleetServiceClient(conn).Kill(ctx, req)
		return err
	}
	if err := kill(t.Context(), conn, &fleetv1.KillRequest{Instance: "order/1", Author: "ada", Reason: "to see"}); err != nil {
		t.Fatal(err)
	}
	if err := kill(t.Context(), conn, &fleetv1.KillRequest{Instance: "nobody/1", Author: "ada"}); status.Code(err) != codes.NotFound {
		t.Fatalf("nobody is killed: %v", err)
	}
	if _, err := fleetv1.NewFleetServiceClient(conn).List(t.Context(), &fleetv1.ListRequest{}); err != nil {
		t.Fatal(err)
	}
	service := observev1.NewAuditServiceClient(conn)
	signIn := &observev1.AuditEntry{Author: "grace", Action: "sign in", Role: "made up", Via: "made up"}
	if _, err := service.Record(t.Context(), &observev1.RecordAuditRequest{Entry: signIn}); err != nil {
		t.Fatal(err)
	}
	all, err := service.List(t.Context(), &observev1.ListAuditRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := "grace cli sign in   |ada cli kill nobody/1  kill nobody/1: no such replica|ada cli kill order/1 to see "
	if got := lines(all.GetEntries()); got != want || all.GetMore() || all.GetEntries()[2].GetTime().AsTime().IsZero() {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, part := range []string{`"kind":"audit"`, `"author":"ada"`, `"via":"cli"`, `"action":"kill"`, `"error":"kill nobody/1: no such replica"`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in the log:\n%s", part, log.String())
		}
	}
	one, err := service.List(t.Context(), &observev1.ListAuditRequest{Query: "KILL", Limit: 1})
	if err != nil || !one.GetMore() || len(one.GetEntries()) != 1 || one.GetEntries()[0].GetTarget() != "nobody/1" {
		t.Errorf("one of two: %v, %v", one, err)
	}
	at := audit.Caller{Via: audit.Console, Role: "operator", From: "10.0.0.1:7", Request: "R1"}.Say(t.Context())
	if err := kill(at, plain, &fleetv1.KillRequest{Instance: "order/1"}); err != nil {
		t.Fatal(err)
	}
	if err := kill(t.Context(), plain, &fleetv1.KillRequest{Instance: "order/1"}); err != nil {
		t.Fatal(err)
	}
	all, err = observev1.NewAuditServiceClient(plain).List(t.Context(), &observev1.ListAuditRequest{})
	if got := lines(all.GetEntries()); err != nil || got != "root api kill order/1  |root console kill order/1  " {
		t.Errorf("without a name: %s, %v", got, err)
	}
	if e := all.GetEntries()[1]; e.GetRole() != "operator" || e.GetFrom() != "10.0.0.1:7" || e.GetRequest() != "R1" {
		t.Errorf("of a console: %v", e)
	}
}

func lines(all []*observev1.AuditEntry) string {
	var out []string
	for _, e := range all {
		out = append(out, strings.Join([]string{e.GetAuthor(), e.GetVia(), e.GetAction(), e.GetTarget(), e.GetReason(), e.GetError()}, " "))
	}
	return strings.Join(out, "|")
}

// TestFileIsTurnedOver keeps the file before, and bounds what an entry says.
func TestFileIsTurnedOver(t *testing.T) {
	f := &audit.File{Path: t.TempDir() + "/kept/audit.jsonl"}
	if all, err := f.List(0, ""); err != nil || all == nil || len(all) != 0 {
		t.Errorf("before anything was done: %v, %v", all, err)
	}
	const many, least = 300, 100
	long := strings.Repeat("\x00", 1<<20)
	for i := range many {
		if err := f.Add(&observev1.AuditEntry{Author: "ada", Action: strconv.Itoa(i), Reason: long, Target: long, Error: long}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := f.List(0, "")
	if err != nil || len(all) < least || all[0].GetAction() != "299" || len(all[0].GetReason()) > 9<<10 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	if all, err = f.List(2, "ADA"); err != nil || len(all) != 2 || all[1].GetAction() != "298" {
		t.Errorf("two that fit: %v, %v", len(all), err)
	}
	if info, err := os.Stat(f.Path + ".1"); err != nil || info.Size() < 16<<20 {
		t.Errorf("the file before: %v, %v", info, err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// TestFileAfterAPowerCut reads over a line without its end, and joins nothing
// with it; and it reads what earlier versions wrote.
func TestFileAfterAPowerCut(t *testing.T) {
	path := t.TempDir() + "/audit.jsonl"
	const before = `{"time":"2026-11-01T10:11:12.5Z","author":"grace","role":"admin","action":"restart","target":"order","reason":"r","from":"127.0.0.1:1","request":"X"}`
	if err := os.WriteFile(path, []byte(before+"\n"+`{"author":"gra`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &audit.File{Path: path}
	for _, action := range []string{"kill", "scale"} {
		if err := f.Add(&observev1.AuditEntry{Author: "ada", Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := f.List(0, "")
	if got := lines(all); err != nil || got != "ada  scale   |ada  kill   |grace  restart order r " {
		t.Errorf("%s, %v", got, err)
	}
	if at := all[2].GetTime().AsTime(); at.Hour() != 10 || all[2].GetRole() != "admin" {
		t.Errorf("what was before: %v", all[2])
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("%v\n%s", err, text)
	}
}
