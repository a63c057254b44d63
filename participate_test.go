package warren_test

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/gowarren/warren"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/warrentest"
)

// TestParticipant: whoever has a database can be asked what became of a branch of a
// transaction, and asking settles it.
func TestParticipant(t *testing.T) {
	sys := warrentest.New(t)
	tables := fstest.MapFS{"0001_things.sql": {Data: []byte(`CREATE TABLE things (id INTEGER PRIMARY KEY)`)}}
	for _, name := range []string{"one", "two"} {
		sys.Run(name, func(ctx context.Context, app *warren.App) error {
			_, err := app.Database(ctx, tables)
			return err
		})
	}
	for range 2 {
		resp, err := txnv1.NewParticipantServiceClient(sys.Client()).Query(rpc.ToService(t.Context(), "two"),
			&txnv1.QueryRequest{Gid: "g", Branch: "b"})
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.GetResult(); got != txnv1.QueryResponse_RESULT_ROLLED_BACK {
			t.Errorf("what nobody began: got %v", got)
		}
	}
}
