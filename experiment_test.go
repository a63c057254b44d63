package warren_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/warrentest"
)

// The file that an operator runs is tried in a test first.
func TestExperimentOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(file, []byte(`
experiments:
  - name: keys-broken
    reason: callers say what is missing
    error: {service: keys, code: ABORTED}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	sys := warrentest.New(t)
	sys.Run("keys", serve(func(context.Context) (*authv1.GetKeysResponse, error) { return &authv1.GetKeysResponse{}, nil }))
	call := func() error {
		_, err := authv1.NewKeysServiceClient(sys.Client()).GetKeys(t.Context(), &authv1.GetKeysRequest{})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	stop := sys.Experiment(file)
	eventually(t, "the fault", func() (struct{}, bool) {
		err := call()
		return struct{}{}, errors.Is(err, rpc.Reason(rpcv1.Reason_REASON_FAULT_INJECTED))
	})
	stop()
	eventually(t, "its end", func() (struct{}, bool) {
		err := call()
		return struct{}{}, err == nil
	})
}
