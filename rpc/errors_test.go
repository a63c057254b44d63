package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	warrenv1 "github.com/gowarren/warren/api/warren/v1"
	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
)

// Reasons are declared in a contract, with the code and the domain that go
// with them; what is thrown on one side is recognised on the other.
func ExampleErrorf() {
	sent := rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "nothing came back from %q", "the valley")
	received := rpc.FromError(sent.GRPCStatus().Err())
	fmt.Println(received)
	fmt.Println(received.Code, received.Domain, rpc.HTTPStatus(received.Code))
	fmt.Println(errors.Is(received, rpc.Reason(echov1.Reason_REASON_NO_ECHO)))
	// Output:
	// NO_ECHO: nothing came back from "the valley"
	// NotFound echo.test 404
	// true
}

func TestErrorfTakesItsWordsFromTheContract(t *testing.T) {
	if e := rpc.Errorf(echov1.Reason_TOO_LOUD, "ouch"); e.Code != codes.ResourceExhausted || e.Reason != "TOO_LOUD" || e.Domain != "echo.test" {
		t.Errorf("without a prefix: %+v", e)
	}
	if e := rpc.Errorf(rpcv1.Reason_REASON_OVERLOADED, "x"); e.Code != codes.Unavailable || e.Reason != "OVERLOADED" || e.Domain != "warren" {
		t.Errorf("Warren's own: %+v", e)
	}
	// What is no reason, or not declared, still names the failure.
	if e := rpc.Errorf(warrenv1.Access_ACCESS_PUBLIC, "x"); e.Code != codes.Unknown || e.Reason != "PUBLIC" || e.Domain != "warren.v1" {
		t.Errorf("no reason: %+v", e)
	}
	if e := rpc.Errorf(echov1.Reason(99), "x"); e.Code != codes.Unknown || e.Reason != "Reason_99" {
		t.Errorf("undeclared: %+v", e)
	}
	// The same name in another domain is another reason.
	if errors.Is(rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "x"), rpc.Reason(rpcv1.Reason_REASON_INTERNAL)) {
		t.Error("reasons of two contracts are mixed up")
	}
	cause := errors.New("cause")
	if e := rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "listen: %w", cause); !errors.Is(e, cause) || e.Message != "listen: cause" {
		t.Errorf("wrapping: %+v", e)
	}
}

func TestFromError(t *testing.T) {
	if rpc.FromError(nil) != nil {
		t.Error("nil is an error")
	}
	own := rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "x")
	if got := rpc.FromError(fmt.Errorf("around: %w", own)); got != own {
		t.Errorf("its own: %v", got)
	}
	raw := status.Error(codes.Aborted, "conflict")
	if got := rpc.FromError(fmt.Errorf("save user@example.com: %w", raw)); got.Code != codes.Aborted || got.Message != "conflict" || !errors.Is(got, raw) {
		t.Errorf("a wrapped status: %+v", got)
	}
	if got := rpc.FromError(context.DeadlineExceeded); got.Code != codes.DeadlineExceeded {
		t.Errorf("a context's: %+v", got)
	}
	if got := rpc.FromError(errors.New("bang")); got.Code != codes.Unknown || got.Message != "bang" {
		t.Errorf("unknown: %+v", got)
	}
	full := &rpc.Error{Code: codes.Internal, Message: "m", RetryAfter: time.Second, Violations: []rpc.Violation{{Field: "a", Description: "is bad"}, {Field: "b", Description: "is worse"}}}
	if text := full.Error(); text != "Internal: m: a is bad; b is worse" {
		t.Errorf("printed as %q", text)
	}
}

func TestHTTPStatusIsCanonical(t *testing.T) {
	for code, want := range map[codes.Code]int{
		codes.OK: 200, codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504,
		codes.NotFound: 404, codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429,
		codes.FailedPrecondition: 400, codes.Aborted: 409, codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Internal: 500,
		codes.Unavailable: 503, codes.DataLoss: 500, codes.Unauthenticated: 401, codes.Code(77): http.StatusInternalServerError,
	} {
		if got := rpc.HTTPStatus(code); got != want {
			t.Errorf("%v: %d, want %d", code, got, want)
		}
	}
}

func TestHandlersStatusErrorsPassWithoutTheirWrapping(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		return nil, fmt.Errorf("query users where mail = a@b.c: %w", status.Error(codes.FailedPrecondition, "not now"))
	}})
	_, err := s.client.Public(within(t), &echov1.EchoRequest{})
	if status.Code(err) != codes.FailedPrecondition || strings.Contains(err.Error(), "a@b.c") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkErrorf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "nothing from %q", "x").GRPCStatus()
	}
}
