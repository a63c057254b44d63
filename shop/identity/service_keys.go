package main

import (
	"context"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// keysService publishes the keys that access tokens are verified with.
type keysService struct {
	authv1.UnimplementedKeysServiceServer
	keys *keyring
}

func (s *keysService) GetKeys(context.Context, *authv1.GetKeysRequest) (*authv1.GetKeysResponse, error) {
	known := s.keys.known.Load()
	if known == nil {
		return nil, rpc.Errorf(identityv1.Reason_BUSY, "%w", errNoKeys)
	}
	return known.published, nil
}
