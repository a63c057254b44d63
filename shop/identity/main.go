// Command identity keeps the shop's users, signs them in, and publishes the
// keys with which everybody verifies whom it signed in.
//
// # Tokens
//
// An access token is a JWT (EdDSA) that lives ten minutes and is believed by
// every service without asking: after a sign-out, or after roles were taken
// away, it counts until it expires. A refresh token counts once; used again it
// ends its session, whoever holds the newer one.
//
// # Signing keys
//
// The keys stand in this service's database, so that all its instances sign
// with the same one, in the clear: the database is to be guarded like the keys.
// A key signs for thirty days; its successor is published fifteen minutes
// before it takes over, and it stays published until all its tokens have
// expired. To withdraw a key at once, delete its row in signing_keys: within
// half a minute no instance uses it or publishes it, and within six minutes
// more nobody believes it.
//
// # The first admin
//
// Roles are an admin's to give, so the first admin comes from outside: start
// the service with SHOP_ADMIN_EMAIL, an address, and SHOP_ADMIN_PASSWORD_FILE,
// a file with the password. While there is no admin, an account with them is
// created; afterwards both are without effect. An account that has the address
// already is never promoted, as anybody could have registered it: the log says
// so, and another address is needed.
package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/gowarren/warren"
	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/page"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	admin, err := readFirstAdmin(os.Getenv, os.ReadFile)
	if err != nil {
		return err
	}
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	app.Events() // what is published belongs to the transactions of db
	settings, users := watchSettings(app.Settings()), newUsers(db)
	keys := &keyring{store: users, settings: settings, now: time.Now}
	s := &service{
		users: users, keys: keys, settings: settings, now: time.Now, log: app.Logger(),
		hasher: newHasher(runtime.GOMAXPROCS(0), settings), pages: page.New(db, identityv1.Reason_BAD_PAGE_TOKEN),
	}
	if err := s.hasher.measure(app.Metrics()); err != nil {
		return err
	}
	identityv1.RegisterIdentityServiceServer(app, s)
	authv1.RegisterKeysServiceServer(app, &keysService{keys: keys})

	app.Check("signing keys", keys.ready)
	app.Go("signing keys", every(keyPoll, keys.refresh))
	app.Go("clean up", every(cleanPeriod, s.clean))
	if admin != nil {
		app.Check("first admin", admin.ready)
		app.Go("first admin", func(ctx context.Context) error { return admin.create(ctx, s) })
	}
	return nil
}
