package etcdurl_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/etcdurl"
)

// What the URL says about certificates and users is what the cluster goes by.
func TestTLSAndUserEndToEnd(t *testing.T) {
	cluster := enginestest.StartCluster(t, enginestest.ClusterOptions{
		TLS: true, User: "warren", Password: "correct-horse", System: "shop",
	})
	stranger := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(stranger, []byte("battery-staple"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*url.URL, url.Values)
		key    string
		want   string // of the error; empty: none
	}{
		"as it should be":     {},
		"name in certificate": {change: func(_ *url.URL, q url.Values) { q.Set("server_name", "etcd.example") }},
		"password in the URL": {change: func(u *url.URL, q url.Values) {
			q.Del("password_file")
			u.User = url.UserPassword("warren", "correct-horse")
		}},
		"one member of three": {change: func(u *url.URL, _ url.Values) { u.Host, _, _ = strings.Cut(u.Host, ",") }},
		"wrong password":      {change: func(_ *url.URL, q url.Values) { q.Set("password_file", stranger) }, want: "authentication failed"},
		"no user": { // the certificate's name is taken for one, and may do nothing
			change: func(u *url.URL, q url.Values) { u.User = nil; q.Del("password_file") }, want: "permission denied",
		},
		"another's keys":    {key: "/bank/registry/x", want: "permission denied"},
		"no certificate":    {change: func(_ *url.URL, q url.Values) { q.Del("cert"); q.Del("key") }, want: "deadline exceeded"},
		"unknown authority": {change: func(_ *url.URL, q url.Values) { q.Del("ca"); q.Set("tls", "true") }, want: "deadline exceeded"},
		"wrong server name": {change: func(_ *url.URL, q url.Values) { q.Set("server_name", "elsewhere.example") }, want: "deadline exceeded"},
		"no TLS":            {change: func(_ *url.URL, q url.Values) { q.Del("ca"); q.Del("cert"); q.Del("key") }, want: "deadline exceeded"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(cluster.URL("shop"))
			if err != nil {
				t.Fatal(err)
			}
			query := u.Query()
			query.Set("dial_timeout", "5s")
			if tt.change != nil {
				tt.change(u, query)
			}
			u.RawQuery = query.Encode()
			key := tt.key
			if key == "" {
				key = "/shop/registry/" + url.PathEscape(name)
			}
			err = use(t, u.String(), key)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v; want %q", err, tt.want)
			}
		})
	}
}

// use writes a key and reads it back.
func use(t *testing.T, address, key string) error {
	t.Helper()
	target := parse(t, address)
	if err := target.Params.Err(); err != nil {
		t.Fatal(err)
	}
	lazy := etcdurl.NewClient(target)
	defer lazy.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, err := lazy.Get()
	if err != nil {
		return err
	}
	if _, err := client.Put(ctx, key, "x"); err != nil {
		return err
	}
	_, err = client.Get(ctx, key)
	return err
}
