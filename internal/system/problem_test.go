package system_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gowarren/warren/internal/system"
)

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, text, environment string
		want                    string
	}{
		{name: "empty", text: "# nothing\n", want: "w.yaml:1:1: the file is empty; begin with system: and a name"},
		{name: "list", text: "- a\n", want: `
w.yaml:1:1: is a list, not a mapping; write name: value pairs
w.yaml:1:1: system: is missing; add a line such as system: shop`},
		{name: "two documents", text: "system: a\n---\nsystem: b\n", want: "w.yaml:3:1: the file has 2 documents; remove the --- lines"},
		{name: "syntax", text: "system: shop\nservices: {catalog: {path: ./c}\n", want: "w.yaml:2:11: not YAML: could not find flow mapping end token '}'"},
		{name: "tab", text: "system: shop\nservices:\n\tcatalog: {}\n", want: "w.yaml:3:1: not YAML: found character '\t' that cannot start any token"},
		{name: "twice", text: "system: shop\nsystem: shop\n", want: `w.yaml:2:1: not YAML: mapping key "system" already defined at [1:1]`},
		{name: "no name", text: "services: {}\n", want: "w.yaml:1:1: system: is missing; add a line such as system: shop"},
		{name: "bad name", text: "system: My Shop\n", want: `w.yaml:1:9: system: is "My Shop"; use small letters, digits and dashes, beginning with a letter`},
		{name: "name without value", text: "system:\nservices:\n", want: "w.yaml:1:1: system: has no value; write one or remove the line"},
		{name: "typo in a section", text: "system: shop\nservcies: {}\n", want: "w.yaml:2:1: servcies: unknown field; did you mean services?"},
		{name: "typo in a field", text: "system: shop\nservices:\n  catalog:\n    path: ./c\n    replica: 2\n",
			want: "w.yaml:5:5: services.catalog.replica: unknown field; did you mean replicas?"},
		{name: "no idea", text: "system: shop\ngateway: {listen-on: 8080}\n", want: "w.yaml:2:11: gateway.listen-on: unknown field; known: address"},
		{name: "not a number", text: "system: shop\nservices:\n  catalog: {path: ./c, replicas: two}\n",
			want: `w.yaml:3:34: services.catalog.replicas: is "two"; it is a whole number from 0 to 1000`},
		{name: "negative", text: "system: shop\nservices:\n  catalog: {path: ./c, replicas: -1}\n",
			want: `w.yaml:3:34: services.catalog.replicas: is "-1"; it is a whole number from 0 to 1000`},
		{name: "nothing to run", text: "system: shop\nservices:\n  catalog:\n", want: "w.yaml:3:3: services.catalog: has neither path nor program; add path: ./catalog, its Go package"},
		{name: "two things to run", text: "system: shop\nservices:\n  catalog: {path: ./c, program: c}\n",
			want: "w.yaml:3:3: services.catalog: has both path and program; remove one of them"},
		{name: "absolute path", text: "system: shop\nservices:\n  catalog: {path: /home/me/catalog}\n",
			want: `w.yaml:3:19: services.catalog.path: is "/home/me/catalog"; write the service's folder as seen from this file, such as ./catalog`},
		{name: "service name", text: "system: shop\nservices:\n  Catalog: {path: ./c}\n",
			want: `w.yaml:3:3: services.Catalog: the service's name is "Catalog"; use small letters, digits and dashes, beginning with a letter`},
		{name: "reserved name", text: "system: shop\nservices:\n  gateway: {path: ./c}\n", want: "w.yaml:3:3: services.gateway: the name gateway is the system's own; choose another"},
		{name: "service is text", text: "system: shop\nservices:\n  catalog: ./c\n",
			want: `w.yaml:3:12: services.catalog: is "./c", not a mapping; write name: value pairs`},
		{name: "args", text: "system: shop\nservices:\n  c: {program: c, args: -v}\n", want: `w.yaml:3:25: services.c.args: is "-v", not a list; write [a, b]`},
		{name: "reserved variable", text: "system: shop\nservices:\n  c: {path: c, env: {WARREN_ZONE: a, a-b: 1}}\n", want: `
w.yaml:3:22: services.c.env.WARREN_ZONE: the variable's name is "WARREN_ZONE"; WARREN_ is the supervisor's; use settings, engines or auth
w.yaml:3:38: services.c.env.a-b: the variable's name is "a-b"; use letters, digits and underscores`},
		{name: "address", text: "system: shop\ngateway: {address: 8080}\nconsole: {address: \"x:http\"}\n", want: `
w.yaml:2:20: gateway.address: is "8080"; write host:port, or :port for this machine only
w.yaml:3:20: console.address: is "x:http"; write host:port, or :port for this machine only`},
		{name: "engines", text: "system: shop\nengines:\n  registry: embeded\n  config: [a]\n  database: \"sqlite:{dta}/x\"\n  traces: \"otlp://{service\"\n", want: `
w.yaml:3:13: engines.registry: is not an engine's address; write embedded, or a URL such as etcd://host:2379/{system} (the URL has no scheme, such as etcd://host or sqlite:file)
w.yaml:4:11: engines.config: is a list, not a single value
w.yaml:5:13: engines.database: is not an engine's address; there is no {dta}; did you mean data?
w.yaml:6:11: engines.traces: is not an engine's address; a brace is left open`},
		{name: "engines of events, locks and transactions", text: "system: shop\nengines:\n  event: embedded\n  events: nats\n  locks: yes\n  transactions: \"{dat}\"\n", want: `
w.yaml:3:3: engines.event: unknown field; did you mean events?
w.yaml:4:11: engines.events: is not an engine's address; write embedded, or a URL such as nats://host:4222/{system} (the URL has no scheme, such as etcd://host or sqlite:file)
w.yaml:5:10: engines.locks: is not an engine's address; write embedded, or a URL such as etcd://host:2379/{system} (the URL has no scheme, such as etcd://host or sqlite:file)
w.yaml:6:17: engines.transactions: is not an engine's address; there is no {dat}; did you mean data?`},
		{name: "password stays secret", text: "system: shop\nengines: {database: \"postgres://me:hunter2@[db/x\"}\n",
			want: `w.yaml:2:21: engines.database: is not an engine's address; write a URL such as sqlite:{data}/{service}.db or postgres://host/{service} (malformed URL with scheme "postgres": missing ']' in host)`},
		{name: "auth", text: "system: shop\nauth: {keys: jwks.json, isuer: x, audience: \"\"}\n", want: `
w.yaml:2:14: auth.keys: is "jwks.json"; write "contract:" for the system's own identity service, or the https URL of a JWKS
w.yaml:2:25: auth.isuer: unknown field; did you mean issuer?
w.yaml:2:45: auth.audience: is ""; write one`},
		{name: "nested settings", text: "system: shop\nsettings:\n  rpc:\n    timeout: 1s\n  a.b: [1]\n  c.d:\n", want: `
w.yaml:3:3: settings.rpc: settings are not nested; write rpc.…: value in one line
w.yaml:5:8: settings."a.b": is a list, not a single value
w.yaml:6:3: settings."c.d": has no value; write one or remove the line`},
		{name: "methods", text: "system: shop\nmethods:\n  catalog: {rpc.timeout: 1s}\n  /a.B/: {}\n", want: `
w.yaml:3:3: methods.catalog: "catalog" is not a method; write /package.Service/Method
w.yaml:4:3: methods."/a.B/": "/a.B/" is not a method; write /package.Service/Method`},
		{name: "unknown environment", text: "system: shop\nenvironments: {production: {}}\n", environment: "prodution",
			want: `w.yaml:1:1: environments: there is no environment "prodution"; did you mean production?`},
		{name: "mistake in another environment", text: "system: shop\nenvironments:\n  production:\n    gatway: {}\n    services: {new: {}}\n", want: `
w.yaml:4:5: environments.production.gatway: unknown field; did you mean gateway?
w.yaml:5:16: environments.production.services.new: has neither path nor program; add path: ./new, its Go package`},
		{name: "environments don't nest", text: "system: shop\nenvironments:\n  production: {system: other}\n  Test: {}\n", want: `
w.yaml:3:16: environments.production.system: unknown field; known: admin, auth, console, engines, gateway, methods, services, settings
w.yaml:4:3: environments.Test: the environment's name is "Test"; use small letters, digits and dashes, beginning with a letter`},
		{name: "aliases", text: "system: shop\nsettings: &s {a.b: 1}\nmethods: *s\nservices:\n  c: {<<: *s, path: !!str c}\n", want: `
w.yaml:3:10: methods: aliases are not understood; write the value out
w.yaml:5:7: services.c: merge keys are not understood; write the values out
w.yaml:5:21: services.c.path: tags are not understood; remove it`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := system.Parse("w.yaml", []byte(test.text), test.environment)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.Split(strings.TrimPrefix(test.want, "\n"), "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error tells a password")
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(shop)
	f.Add("system: {a: [b]}\nservices: &x {c: *x}\n? [k]\n: v\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := system.Parse("w.yaml", []byte(text), "")
		if err == nil && s.Name == "" {
			t.Error("a system without a name was accepted")
		}
	})
}
