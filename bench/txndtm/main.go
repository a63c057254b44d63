// Command txndtm is who uses DTM, as its documentation shows it: a plain gRPC
// server that takes part, and clients that begin sagas.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/dtm-labs/dtm/client/dtmgrpc"
	"github.com/dtm-labs/logger"
	"google.golang.org/grpc"

	txnv1 "github.com/gowarren/warren/bench/api/bench/txn/v1"
	"github.com/gowarren/warren/bench/internal/branch"
	"github.com/gowarren/warren/bench/internal/role"
	"github.com/gowarren/warren/bench/internal/sagas"
)

func main() {
	logger.InitLog("error") // its library's default writes several lines per saga
	role.Main(map[string]func(role.Flags) error{"service": service, "client": client})
}

func service(f role.Flags) error {
	l, err := role.Listen(f.Address)
	if err != nil {
		return err
	}
	server, s := grpc.NewServer(), branch.New()
	txnv1.RegisterBranchServiceServer(server, s)
	txnv1.RegisterHungServiceServer(server, s)
	go func() {
		if err := s.Obey(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return server.Serve(l)
}

// client's flags name two addresses: that of DTM, and the one at which it finds
// those who take part.
func client(f role.Flags) error {
	return sagas.Serve(func(ctx context.Context, id string, kind sagas.Kind) error { return begin(ctx, f, id, kind) })
}

func begin(ctx context.Context, f role.Flags, id string, kind sagas.Kind) error {
	saga, request := dtmgrpc.NewSagaGrpcWithContext(ctx, f.Service, id), &txnv1.BranchRequest{Id: id}
	saga.WaitResult = kind == sagas.Waited
	if kind == sagas.Hung {
		saga.Add(f.Address+txnv1.HungService_Hang_FullMethodName, f.Address+txnv1.HungService_UndoHang_FullMethodName, request)
		return saga.Submit()
	}
	saga.Add(f.Address+txnv1.BranchService_First_FullMethodName, f.Address+txnv1.BranchService_UndoFirst_FullMethodName, request)
	saga.Add(f.Address+txnv1.BranchService_Second_FullMethodName, f.Address+txnv1.BranchService_UndoSecond_FullMethodName, request)
	return saga.Submit()
}
