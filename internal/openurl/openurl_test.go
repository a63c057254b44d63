package openurl_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/openurl"
)

type engine struct {
	hosts string
	ttl   time.Duration
}

func open(_ context.Context, u *url.URL) (engine, error) {
	p := openurl.NewParams(u)
	e := engine{hosts: u.Host, ttl: p.Duration("ttl", time.Second)}
	p.Int("size", 0)
	p.Bool("fast", false)
	p.Float("ratio", 0)
	return e, p.Err()
}

var openers = map[string]func(context.Context, *url.URL) (engine, error){"etcd": open, "mem": open}

func TestOpen(t *testing.T) {
	for raw, want := range map[string]engine{
		"etcd://a:1/shop":                  {"a:1", time.Second},
		"etcd://a:1,b:2/shop?ttl=5s":       {"a:1,b:2", 5 * time.Second},
		"etcd://u:p%40@a:1,[::1]:2?ttl=2s": {"a:1,[::1]:2", 2 * time.Second},
		"mem:":                             {"", time.Second},
		"mem:?size=1&fast=true&ratio=.5":   {"", time.Second},
	} {
		got, err := openurl.Open(t.Context(), "engine", raw, openers)
		if err != nil || got != want {
			t.Errorf("Open(%q) = %v, %v; want %v", raw, got, err, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"":                             "no scheme",
		"localhost":                    "no scheme",
		"redis://u:hunter2@h/x":        `open engine redis://h/x: no driver for scheme "redis"; linked: etcd, mem`,
		"etcd://h/x?tll=5s":            `unknown parameter "tll"; known: fast, ratio, size, ttl`,
		"etcd://h/x?ttl=hunter2":       `parameter "ttl" is not a duration such as 5s`,
		"etcd://h/x?ttl=1s&ttl=2s":     `parameter "ttl" is given 2 times`,
		"etcd://u:hunter2@h\x7f/x":     "malformed URL",
		"etcd://u:hunter2@a:b:c:d/x":   "malformed URL",
		"etcd://u:hunter2@h/x?size=1e": `parameter "size" is not a whole number`,
		"etcd://h/?a=1;b=2":            "malformed query",
	} {
		_, err := openurl.Open(t.Context(), "engine", raw, openers)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): error %v; want %q", raw, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): error %v repeats a secret", raw, err)
		}
	}
}

func TestOpenKeepsTheCause(t *testing.T) {
	cause := errors.New("no disk")
	_, err := openurl.Open(t.Context(), "store", "mem:", map[string]openurl.Opener[int]{
		"mem": func(context.Context, *url.URL) (int, error) { return 0, cause },
	})
	if !errors.Is(err, cause) {
		t.Errorf("error %v does not wrap its cause", err)
	}
}
