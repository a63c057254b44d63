package node

import (
	"context"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/encoding/protojson"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/auth"
)

// contractKeys is the system file's word for "whoever serves the contract of
// keys in this system".
const contractKeys = "contract:"

// openVerifier prepares the verification of users' tokens as the system file
// says; without a word on it nobody can be signed in.
func (n *Node) openVerifier() (*auth.Verifier, error) {
	if n.Env.File == nil || n.Env.File.Auth.Issuer == "" {
		return nil, nil
	}
	a := n.Env.File.Auth
	source := auth.KeySource(auth.KeysFunc(n.keysByContract))
	if a.Keys != contractKeys && a.Keys != "" {
		var err error
		if source, err = auth.HTTPKeys(a.Keys, nil); err != nil {
			return nil, err
		}
	}
	return auth.NewVerifier(source, auth.VerifierOptions{Issuer: a.Issuer, Audience: a.Audience})
}

// keysByContract asks the service that signs tokens for its public keys.
func (n *Node) keysByContract(ctx context.Context) (jose.JSONWebKeySet, error) {
	resp, err := authv1.NewKeysServiceClient(n.Client).GetKeys(ctx, &authv1.GetKeysRequest{})
	if err != nil {
		return jose.JSONWebKeySet{}, fmt.Errorf("ask for token keys by contract: %w", err)
	}
	text, err := protojson.Marshal(resp)
	if err != nil {
		return jose.JSONWebKeySet{}, fmt.Errorf("read token keys: %w", err)
	}
	return auth.ParseKeys(text)
}
