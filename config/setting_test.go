package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
)

var (
	timeout  = config.Duration("rpc.timeout", 2*time.Second, time.Millisecond, time.Hour, "how long a call may take")
	attempts = config.Int("rpc.retry.attempts", 3, 1, 10, "how often a call is tried")
	budget   = config.Float("rpc.retry.budget", 0.1, 0, 1, "retries per call")
	balancer = config.Enum("rpc.balancer", "p2c", []string{"p2c", "round_robin", "least_request"}, "how an instance is picked")
	gzip     = config.Bool("gateway.gzip", true, "answers are compressed")
	greeting = config.String("shop.greeting", "", "shown on the first page")
	key      = config.Sensitive("payment.key", "the provider's key")
)

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		definition config.Definition
		good       []string
		bad        map[string]string
	}{
		{timeout.Definition(), []string{"1ms", "1h", "1m30s", "0.5s"}, map[string]string{
			"5": "duration such as", "": "duration", "61m": `rpc.timeout: "61m" is more than the largest allowed value, 1h`, "-1s": "smallest allowed value, 1ms",
		}},
		{attempts.Definition(), []string{"1", "10"}, map[string]string{"0": "smallest", "11": "largest", "3.0": "whole number", "0x3": "whole"}},
		{budget.Definition(), []string{"0", "1", "0.25", "1e-3"}, map[string]string{"NaN": "a number", "Inf": "a number", "1.01": "largest", "ten": "number"}},
		{balancer.Definition(), []string{"p2c", "least_request"}, map[string]string{"p3c": "did you mean p2c?", "": "one of p2c, round_robin"}},
		{gzip.Definition(), []string{"true", "false"}, map[string]string{"yes": "true or false", "1": "true or false"}},
		{greeting.Definition(), []string{"", "hello"}, nil},
		{config.Definition{Name: "x", Type: "colour"}, nil, map[string]string{"red": `unknown type "colour"`}},
	} {
		for _, value := range test.good {
			if err := test.definition.Check(value); err != nil {
				t.Errorf("%s=%q: %v", test.definition.Name, value, err)
			}
		}
		for value, want := range test.bad {
			if err := test.definition.Check(value); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s=%q: error %v; want %q", test.definition.Name, value, err, want)
			}
		}
	}
}

func TestDefinitionsAreText(t *testing.T) {
	data, err := json.Marshal([]config.Definition{timeout.Definition(), budget.Definition(), key.Definition()})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"rpc.timeout","type":"duration","default":"2s","doc":"how long a call may take","min":"1ms","max":"1h"},` +
		`{"name":"rpc.retry.budget","type":"float","default":"0.1","doc":"retries per call","min":"0","max":"1"},` +
		`{"name":"payment.key","type":"string","default":"","doc":"the provider's key","secret":true}]`
	if string(data) != want {
		t.Errorf("definitions are\n%s; want\n%s", data, want)
	}
}

func TestSecretIsNotShown(t *testing.T) {
	secret := config.Secret("correct-horse")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", secret, "b", []config.Secret{secret}, "c", struct{ S config.Secret }{secret})
	data, err := json.Marshal(map[string]config.Secret{"k": secret})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %s %q %+v %#v %x", secret, secret, secret, struct{ S config.Secret }{secret}, secret, data) + log.String() + string(data)
	if strings.Contains(shown, "horse") || fmt.Sprintf("%x", secret) == fmt.Sprintf("%x", string(secret)) {
		t.Errorf("shown: %s", shown)
	}
	if string(secret) != "correct-horse" {
		t.Error("the secret can't be used")
	}
	short := config.Definition{Name: "pin", Type: "int", Min: "1000", Secret: true}
	if err := short.Check("99"); err == nil || strings.Contains(err.Error(), "99") {
		t.Errorf("a refused secret is shown: %v", err)
	}
}

func TestParseScope(t *testing.T) {
	const method = "/shop.catalog.v1.CatalogService/GetProduct"
	for text, want := range map[string]config.Scope{
		"":                               {},
		"all":                            {},
		"catalog":                        {Service: "catalog"},
		"shop.catalog.v1.CatalogService": {Service: "shop.catalog.v1.CatalogService"},
		method:                           {Method: method},
		method[1:]:                       {Method: method},
		"order:" + method:                {Service: "order", Method: method},
	} {
		got, err := config.ParseScope(text)
		if err != nil || got != want {
			t.Errorf("ParseScope(%q) = %+v, %v", text, got, err)
		}
		if again, err := config.ParseScope(got.String()); err != nil || again != got {
			t.Errorf("scope %v does not survive its text: %+v, %v", got, again, err)
		}
	}
	for _, text := range []string{"Catalog", "a b", "/GetProduct", "a/b/c", "shop..x", ":", "order:", "shop.v1.S:" + method, "all:" + method + "/"} {
		if got, err := config.ParseScope(text); err == nil {
			t.Errorf("ParseScope(%q) = %+v; want an error", text, got)
		} else if !strings.Contains(err.Error(), "unknown form of scope") {
			t.Errorf("ParseScope(%q): %v", text, err)
		}
	}
}
