package config_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
)

// pageSize is declared once, where the code that obeys it lives.
var pageSize = config.Int("catalog.page_size", 20, 1, 500, "products on a page when the client doesn't say")

// A service watches a setting; an operator changes it while the service runs.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	folder, err := os.MkdirTemp("", "settings")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	centre, err := fileconfig.Open(ctx, &url.URL{Scheme: "file", Path: folder + "/settings.json"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer centre.Close()

	// In the service:
	settings, err := config.New(config.Options{Service: "catalog", Driver: centre,
		Definitions: []config.Definition{pageSize.Definition()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer settings.Close()
	size := config.Watch(settings, pageSize, config.Scope{})
	changed := make(chan int, 1)
	size.OnChange(func(n int) { changed <- n })
	if err := settings.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("before:", size.Get())

	// In the operator's hands:
	operator, err := config.NewCentre(centre, "local")
	if err != nil {
		fmt.Println(err)
		return
	}
	large, wrong := "50", "fifty"
	change, err := operator.Set(ctx, []config.Edit{{Name: "catalog.page_size", New: &large}}, "ann", "wide screens")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("revision", change.Revision, change.Edits)
	fmt.Println("after:", <-changed)
	_, err = operator.Set(ctx, []config.Edit{{Name: "catalog.page_size", New: &wrong}}, "ann", "a slip")
	fmt.Println(err)

	// Output:
	// before: 20
	// revision 1 [catalog.page_size all: (unset) → 50]
	// after: 50
	// set in local: catalog.page_size: "fifty" is not a whole number (as catalog defines it)
}
