package warrentest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gowarren/warren"
	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/rpc"
)

// issuer is who signs in a test, and whom for. A system file of the test's own
// names it: auth: {issuer: warrentest, audience: warrentest}.
const issuer = "warrentest"

// systemFile is what every process reads that is not given another file.
const systemFile = "system: test\nauth: {issuer: " + issuer + ", audience: " + issuer + "}\n"

// tokenLife is longer than any test.
const tokenLife = time.Hour

// users sign in whoever the test wants: they stand for a service like the
// shop's identity.
type users struct {
	authv1.UnimplementedKeysServiceServer
	keys   *authv1.GetKeysResponse
	signer jose.Signer
}

func (u *users) GetKeys(context.Context, *authv1.GetKeysRequest) (*authv1.GetKeysResponse, error) {
	return u.keys, nil
}

func (s *System) newUsers() *users {
	s.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	s.check("make a key of tokens", err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: issuer}}, nil)
	s.check("make a signer of tokens", err)
	key, err := structpb.NewStruct(map[string]any{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": issuer, "x": base64.RawURLEncoding.EncodeToString(public),
	})
	s.check("make a key of tokens", err)
	return &users{keys: &authv1.GetKeysResponse{Keys: []*structpb.Struct{key}}, signer: signer}
}

// As returns a context that calls as the user, with the roles.
func (s *System) As(ctx context.Context, user string, roles ...string) context.Context {
	s.t.Helper()
	return metadata.AppendToOutgoingContext(ctx, rpc.MetadataAuthorization, "Bearer "+s.Token(user, roles...))
}

// Token returns an access token of the user, with the roles, as a bearer of it
// sends it to the gateway.
func (s *System) Token(user string, roles ...string) string {
	s.t.Helper()
	s.signIn.Do(func() {
		s.users = s.newUsers()
		s.Run("warrentest-users", func(_ context.Context, app *warren.App) error {
			authv1.RegisterKeysServiceServer(app, s.users)
			return nil
		})
	})
	now := time.Now()
	token, err := jwt.Signed(s.users.signer).Claims(map[string]any{
		"iss": issuer, "aud": issuer, "sub": user, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "roles": roles,
	}).Serialize()
	s.check("sign a token", err)
	return token
}
