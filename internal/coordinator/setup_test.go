package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gowarren/warren"
	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/warrentest"
)

// keys takes part in a saga with the one method it has.
type keys struct {
	authv1.UnimplementedKeysServiceServer
	calls atomic.Int64
}

func (k *keys) GetKeys(context.Context, *authv1.GetKeysRequest) (*authv1.GetKeysResponse, error) {
	if k.calls.Add(1) == 1 {
		return nil, status.Error(codes.Internal, "once")
	}
	one := &structpb.Struct{Fields: map[string]*structpb.Value{"kid": structpb.NewStringValue("one")}}
	return &authv1.GetKeysResponse{Keys: []*structpb.Struct{one}}, nil
}

// A coordinator as a service among others: over real connections, with raw
// messages, and with its answers in the result.
func TestCoordinatorIsAService(t *testing.T) {
	sys := warrentest.New(t)
	k := &keys{}
	sys.Run("keys", func(_ context.Context, app *warren.App) error {
		authv1.RegisterKeysServiceServer(app, k)
		return nil
	})
	sys.Run("coordinator", coordinator.Setup)
	var app *warren.App
	sys.Run("caller", func(_ context.Context, a *warren.App) error {
		app = a
		a.Needs(authv1.KeysService_ServiceDesc.ServiceName, txnv1.CoordinatorService_ServiceDesc.ServiceName)
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := txnv1.NewCoordinatorServiceClient(app)
	saga := &txnv1.Saga{Gid: "g", Name: "keys", Steps: []*txnv1.Step{{Name: "get", Method: authv1.KeysService_GetKeys_FullMethodName}}}
	v, err := c.Submit(ctx, &txnv1.SubmitRequest{Saga: saga, Wait: true})
	for err == nil && v.GetState() == txnv1.State_STATE_RUNNING {
		v, err = c.Wait(ctx, &txnv1.WaitRequest{Gid: "g"})
	}
	if err != nil || v.GetState() != txnv1.State_STATE_SUCCEEDED {
		t.Fatalf("%v, %v", v, err)
	}
	var got authv1.GetKeysResponse
	if err := proto.Unmarshal(v.GetBranches()[0].GetResponse(), &got); err != nil || got.GetKeys()[0].GetFields()["kid"].GetStringValue() != "one" {
		t.Errorf("answered %v, %v", &got, err)
	}
	if _, err := txnv1.NewOperatorServiceClient(app).List(ctx, &txnv1.ListRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a service lists transactions: %v", err)
	}
}
