package control

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
)

const (
	someContract = "warren.shards.v1.ShardService"
	moveMethod   = "/" + someContract + "/Move"
)

// Contracts are described by whoever serves them, with what the console needs to
// fill in a request.
func testContracts(t *testing.T, conn *grpc.ClientConn) {
	contracts := contractsv1.NewContractServiceClient(conn)
	list, err := contracts.List(t.Context(), &contractsv1.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	byName := func(a, b *contractsv1.Contract) int { return strings.Compare(a.GetName(), b.GetName()) }
	if !slices.IsSortedFunc(list.GetContracts(), byName) {
		t.Errorf("no order: %v", list)
	}
	described, err := contracts.Describe(t.Context(), &contractsv1.DescribeRequest{Contract: someContract})
	if err != nil {
		t.Fatal(err)
	}
	served := described.GetContract()
	if !slices.Equal(slices.Sorted(slices.Values(served.GetServices())), []string{"books", "notes"}) || len(served.GetInstances()) != 2 || served.GetInstances()[0].GetState() != "ready" {
		t.Errorf("served by %v", served)
	}
	i := slices.IndexFunc(described.GetMethods(), func(m *contractsv1.Method) bool { return m.GetName() == "Move" })
	if i < 0 {
		t.Fatalf("no Move in %v", described)
	}
	move := described.GetMethods()[i]
	if !move.GetServerStreams() || move.GetClientStreams() || move.GetAccess() != "internal" || move.GetInput() != "warren.shards.v1.MoveRequest" {
		t.Errorf("Move: %v", move)
	}
	if err := protojson.Unmarshal([]byte(move.GetExample()), &shardsv1.MoveRequest{}); err != nil || !strings.Contains(move.GetExample(), `"author": ""`) {
		t.Errorf("%v: the example %s", err, move.GetExample())
	}
	for _, want := range []string{"MoveRequest", "MoveResponse", "By", "Shard", "Action"} { // By is in a request only, Action in a list
		if !slices.ContainsFunc(described.GetMessages(), func(m *contractsv1.Message) bool { return m.GetName() == "warren.shards.v1."+want }) {
			t.Errorf("no message %s", want)
		}
	}
	for _, m := range described.GetMessages() {
		for _, f := range m.GetFields() {
			if secret := m.GetName() == "warren.shards.v1.MoveRequest" && f.GetName() == "database"; f.GetSecret() != secret {
				t.Errorf("%s of %s: secret %v", f.GetName(), m.GetName(), f.GetSecret())
			}
		}
		if strings.HasPrefix(m.GetName(), "google.") {
			t.Errorf("%s is known to everybody", m.GetName())
		}
	}
	if _, err := contracts.Describe(t.Context(), &contractsv1.DescribeRequest{Contract: "shop.Nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("a contract that nobody serves: %v", err)
	}
}

// Messages become JSON and JSON messages, but never what is secret in them.
func testMessages(t *testing.T, conn *grpc.ClientConn) {
	contracts := contractsv1.NewContractServiceClient(conn)
	encoded, err := contracts.Encode(t.Context(), &contractsv1.EncodeRequest{Method: moveMethod, Json: `{"shard": 3, "by": {"reason": "why"}}`})
	if err != nil {
		t.Fatal(err)
	}
	got := &shardsv1.MoveRequest{}
	if err := proto.Unmarshal(encoded.GetData(), got); err != nil || got.GetShard() != 3 || got.GetBy().GetReason() != "why" {
		t.Errorf("%v, %v", got, err)
	}
	decoded, err := contracts.Decode(t.Context(), &contractsv1.DecodeRequest{Method: moveMethod, Data: encoded.GetData()})
	if again := (&shardsv1.MoveRequest{}); err != nil || protojson.Unmarshal([]byte(decoded.GetJson()), again) != nil || !proto.Equal(again, got) {
		t.Errorf("%v, %v", decoded, err)
	}
	answer, err := proto.Marshal(&shardsv1.MoveResponse{Phase: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	decoded, err = contracts.Decode(t.Context(), &contractsv1.DecodeRequest{Method: moveMethod, Data: answer, Output: true})
	if err != nil || !strings.Contains(decoded.GetJson(), `"copy"`) {
		t.Errorf("an answer: %v, %v", decoded, err)
	}
	const password = "postgres://u:pa55word@db/x"
	secret, err := proto.Marshal(&shardsv1.MoveRequest{Database: password})
	if err != nil {
		t.Fatal(err)
	}
	decode := func(method string, data []byte) error {
		_, err := contracts.Decode(t.Context(), &contractsv1.DecodeRequest{Method: method, Data: data})
		return err
	}
	encode := func(method, text string) error {
		_, err := contracts.Encode(t.Context(), &contractsv1.EncodeRequest{Method: method, Json: text})
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		code codes.Code
		says string
	}{
		{"a secret to be shown", decode(moveMethod, secret), codes.FailedPrecondition, "database is a secret"},
		{"a secret to be carried", encode(moveMethod, `{"database": "`+password+`"}`), codes.InvalidArgument, "database is a secret"},
		{"bytes that are no message", decode(moveMethod, []byte{0xff}), codes.InvalidArgument, "MoveRequest"},
		{"JSON with a mistake", encode(moveMethod, `{"shrad": 3}`), codes.InvalidArgument, "shrad"},
		{"no such method", encode("/"+someContract+"/Mvoe", `{}`), codes.NotFound, "Mvoe"},
		{"no such contract", encode("/shop.Nobody/Call", `{}`), codes.Unavailable, "shop.Nobody"},
	} {
		if status.Code(c.err) != c.code || !strings.Contains(c.err.Error(), c.says) || strings.Contains(c.err.Error(), "pa55word") {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
}
