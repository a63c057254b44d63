package e2e

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	framework "github.com/gowarren/warren"
	"github.com/gowarren/warren/warrentest"
)

// pagesFail: a web site panics once, fails for a third of its visitors, and has the
// others wait.
func (b *bed) pagesFail() func() {
	d := &doing{}
	b.start("site", "", func(_ context.Context, app *framework.App, _ *member) error {
		app.Handle("GET /page", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := d.do(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}))
		return nil
	})
	url := "http://" + warrentest.Eventually(b.t, "the site's pages to be announced", func() (string, bool) {
		for _, i := range b.sys.Registry().Snapshot().Instances {
			if i.ID == "site/1.http" {
				return i.Address, true
			}
		}
		return "", false
	}) + "/page"
	return func() {
		var visits sync.WaitGroup
		defer visits.Wait()
		defer b.each(func() {
			for range 3 {
				visits.Go(func() {
					if resp, err := http.Get(url); err == nil {
						resp.Body.Close()
					}
				})
			}
		})()
		all := []expected{
			alarm("HandlerPanics", "service", "site", "http_route", "/page"),
			alarm("HighErrorRatio", "service", "site"), alarm("HighLatency", "service", "site"),
		}
		b.hold(fault{all, func() (func(), error) {
			var n atomic.Int64
			d.now(func(ctx context.Context) error {
				switch visitor := n.Add(1); {
				case visitor == 1:
					panic("out of cheese")
				case visitor%3 == 0:
					return errors.New("a bug")
				}
				rest(ctx, 1500*time.Millisecond)
				return nil
			})
			return func() { d.now(healthy) }, nil
		}})
	}
}
