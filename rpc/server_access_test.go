package rpc_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
)

// identities make tokens of users and services.
type identities struct {
	key      ed25519.PrivateKey
	verifier *auth.Verifier
	service  *auth.ServiceKey
}

func newIdentities(t testing.TB) *identities {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := auth.KeysFunc(func(context.Context) (jose.JSONWebKeySet, error) {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k1"}}}, nil
	})
	i := &identities{key: private}
	if i.verifier, err = auth.NewVerifier(keys, auth.VerifierOptions{Issuer: "shop", Audience: "shop"}); err != nil {
		t.Fatal(err)
	}
	if i.service, err = auth.NewServiceKey([]byte("0123456789abcdef0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *identities) user(t testing.TB, subject string, expires time.Duration, roles ...string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: i.key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "shop", Audience: jwt.Audience{"shop"}, Subject: subject, Expiry: jwt.NewNumericDate(time.Now().Add(expires)),
	}).Claims(map[string]any{"roles": roles}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (i *identities) options() rpc.ServerOptions {
	return rpc.ServerOptions{Verifier: i.verifier, ServiceKey: i.service}
}

func TestServiceEnforcesAccessItself(t *testing.T) {
	who := newIdentities(t)
	signed, err := who.service.Sign("order")
	if err != nil {
		t.Fatal(err)
	}
	callers := map[string][]string{
		"anonymous":             nil,
		"customer":              {rpc.MetadataAuthorization, "Bearer " + who.user(t, "u1", time.Hour, "customer")},
		"staff":                 {rpc.MetadataAuthorization, "bearer " + who.user(t, "u2", time.Hour, "staff")},
		"service":               {rpc.MetadataService, signed},
		"service for customer":  {rpc.MetadataService, signed, rpc.MetadataAuthorization, "Bearer " + who.user(t, "u1", time.Hour)},
		"expired":               {rpc.MetadataAuthorization, "Bearer " + who.user(t, "u1", -time.Hour, "staff")},
		"two tokens":            {rpc.MetadataAuthorization, "Bearer " + who.user(t, "u1", time.Hour), rpc.MetadataAuthorization, "Bearer x"},
		"password":              {rpc.MetadataAuthorization, "Basic dTE6aHVudGVyMg=="},
		"empty token":           {rpc.MetadataAuthorization, "Bearer "},
		"forged service":        {rpc.MetadataService, "order"},
		"user token as service": {rpc.MetadataService, who.user(t, "order", time.Hour)},
		"spoofed headers":       {"x-user-id", "u2", "x-roles", "staff", "warren-caller", "order"},
	}
	const ok = codes.OK
	want := map[string][5]codes.Code{ // Public, SignedIn, Staff, Silent, Chat
		"anonymous":             {ok, codes.Unauthenticated, codes.Unauthenticated, codes.PermissionDenied, ok},
		"customer":              {ok, ok, codes.PermissionDenied, codes.PermissionDenied, ok},
		"staff":                 {ok, ok, ok, codes.PermissionDenied, ok},
		"service":               {ok, codes.Unauthenticated, codes.Unauthenticated, ok, ok},
		"service for customer":  {ok, ok, codes.PermissionDenied, ok, ok},
		"expired":               refused(codes.Unauthenticated),
		"two tokens":            refused(codes.Unauthenticated),
		"password":              refused(codes.Unauthenticated),
		"empty token":           refused(codes.Unauthenticated),
		"forged service":        refused(codes.Unauthenticated),
		"user token as service": refused(codes.Unauthenticated),
		"spoofed headers":       {ok, codes.Unauthenticated, codes.Unauthenticated, codes.PermissionDenied, ok},
	}
	s := serve(t, who.options(), &echo{})
	for name, headers := range callers {
		ctx := metadata.AppendToOutgoingContext(within(t), headers...)
		var got [5]codes.Code
		for i, method := range []string{"Public", "SignedIn", "Staff", "Silent"} {
			err := s.conn.Invoke(ctx, "/echo.v1.EchoService/"+method, &echov1.EchoRequest{}, &echov1.EchoResponse{})
			got[i] = codeOf(err)
		}
		stream, err := s.client.Chat(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// What the server refused is seen when receiving.
		_ = stream.Send(&echov1.EchoRequest{})
		_, err = stream.Recv()
		got[4] = codeOf(err)
		if got != want[name] {
			t.Errorf("%s: %v, want %v", name, got, want[name])
		}
	}
}

func refused(c codes.Code) [5]codes.Code { return [5]codes.Code{c, c, c, c, c} }

func codeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return rpc.FromError(err).Code
}

func TestHandlerSeesTheCaller(t *testing.T) {
	who := newIdentities(t)
	signed, err := who.service.Sign("order")
	if err != nil {
		t.Fatal(err)
	}
	token := who.user(t, "u1", time.Hour, "customer")
	var seen auth.Caller
	s := serve(t, who.options(), &echo{handle: func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		seen = auth.FromContext(ctx)
		return &echov1.EchoResponse{}, nil
	}})
	ctx := metadata.AppendToOutgoingContext(within(t), rpc.MetadataAuthorization, "Bearer "+token, rpc.MetadataService, signed)
	if _, err := s.client.SignedIn(ctx, &echov1.EchoRequest{}); err != nil {
		t.Fatal(err)
	}
	if seen.Subject != "u1" || seen.Service != "order" || seen.Token != token || !seen.HasRole("customer") {
		t.Errorf("the handler sees %+v", seen)
	}
}

func TestMissingKeysAreNotTheCallersFault(t *testing.T) {
	who := newIdentities(t)
	verifier, err := auth.NewVerifier(auth.KeysFunc(func(context.Context) (jose.JSONWebKeySet, error) {
		return jose.JSONWebKeySet{}, errors.New("identity is not there yet")
	}), auth.VerifierOptions{Issuer: "shop", Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, rpc.ServerOptions{Verifier: verifier}, &echo{})
	ctx := metadata.AppendToOutgoingContext(within(t), rpc.MetadataAuthorization, "Bearer "+who.user(t, "u1", time.Hour))
	_, err = s.client.SignedIn(ctx, &echov1.EchoRequest{})
	if e := wantReason(t, err, codes.Unavailable, rpcv1.Reason_REASON_KEYS_UNAVAILABLE); e.RetryAfter == 0 {
		t.Error("no word of when to come back")
	}
	if _, err := s.client.Public(within(t), &echov1.EchoRequest{}); err != nil {
		t.Errorf("a call without a token: %v", err)
	}
}

func TestClientAddressIsBelievedFromTheSystemOnly(t *testing.T) {
	who := newIdentities(t)
	signed, err := who.service.Sign("gateway")
	if err != nil {
		t.Fatal(err)
	}
	var seen netip.Addr
	s := serve(t, who.options(), &echo{handle: func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		seen = rpc.ClientAddress(ctx)
		return &echov1.EchoResponse{}, nil
	}})
	for name, test := range map[string]struct {
		sent []string
		want string
	}{
		"the gateway says":          {[]string{rpc.MetadataService, signed, rpc.MetadataClientAddress, "192.0.2.1"}, "192.0.2.1"},
		"IPv4 written as IPv6":      {[]string{rpc.MetadataService, signed, rpc.MetadataClientAddress, "::ffff:192.0.2.1"}, "192.0.2.1"},
		"the gateway does not know": {[]string{rpc.MetadataService, signed}, "invalid IP"},
		"no address":                {[]string{rpc.MetadataService, signed, rpc.MetadataClientAddress, "here"}, "invalid IP"},
		"two":                       {[]string{rpc.MetadataService, signed, rpc.MetadataClientAddress, "192.0.2.1", rpc.MetadataClientAddress, "192.0.2.2"}, "invalid IP"},
	} {
		if _, err := s.client.Public(metadata.AppendToOutgoingContext(within(t), test.sent...), &echov1.EchoRequest{}); err != nil || seen.String() != test.want {
			t.Errorf("%s: %v, %v; want %s", name, seen, err, test.want)
		}
	}
	_, err = s.client.Public(metadata.AppendToOutgoingContext(within(t), rpc.MetadataClientAddress, "192.0.2.1"), &echov1.EchoRequest{})
	if err != nil || seen.String() == "192.0.2.1" {
		t.Errorf("a stranger is believed: %v, %v", seen, err)
	}
	over := func(a net.Addr) netip.Addr {
		return rpc.ClientAddress(peer.NewContext(t.Context(), &peer.Peer{Addr: a}))
	}
	if got := over(&net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 9}); got.String() != "198.51.100.7" {
		t.Errorf("a stranger's connection: %v", got)
	}
	if got := over(&net.UnixAddr{Name: "@"}); got.IsValid() || rpc.ClientAddress(t.Context()).IsValid() {
		t.Errorf("a socket of this machine: %v", got)
	}
}
