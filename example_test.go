package warren_test

import (
	"context"
	"fmt"
	"os"

	"github.com/gowarren/warren"
	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
)

// A service registers the contracts it serves and calls others by contract.
// Its main function is warren.Main(setup).
func Example() {
	setup := func(ctx context.Context, app *warren.App) error {
		db, err := app.Database(ctx, migrations)
		if err != nil {
			return err
		}
		app.Check("stock", db.Ping)
		app.Needs(authv1.KeysService_ServiceDesc.ServiceName)
		authv1.RegisterKeysServiceServer(app, &keys{})
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a service that is told to end while it starts ends well
	flags := []string{"--service", "stock", "--data", os.TempDir(), "--log-level", "error"}
	fmt.Println(warren.Run(ctx, flags, setup))
	// Output: <nil>
}
