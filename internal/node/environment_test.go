package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const systemFile = `system: shop
environment: staging
services:
  catalog: {path: ./catalog}
engines: {registry: "etcd://file:2379/{system}", config: embedded, database: "postgres://db/{system}_{environment}_{service}"}
environments:
  staging: {}
  production: {engines: {registry: "etcd://a:2379,b:2379/{system}"}}
`

func environment(t *testing.T, variables map[string]string, args ...string) (Environment, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "warren.yaml")
	if err := os.WriteFile(file, []byte(systemFile), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--data", t.TempDir(), "--service", "catalog", "--system-file", file}, args...)
	return ReadEnvironment(args, func(key string) string { return variables[key] }, os.Stderr)
}

func TestFlagsWinOverVariablesOverTheSystemFile(t *testing.T) {
	tests := map[string]struct {
		variables map[string]string
		args      []string
		registry  string
		named     string
	}{
		"the file alone":   {nil, nil, "etcd://file:2379/shop", "staging"},
		"another block":    {nil, []string{"--environment", "production"}, "etcd://a:2379,b:2379/shop", "production"},
		"a variable":       {map[string]string{"WARREN_REGISTRY": "etcd://variable/x", "WARREN_ENVIRONMENT": "local"}, nil, "etcd://variable/x", "local"},
		"a flag":           {map[string]string{"WARREN_REGISTRY": "etcd://variable/x"}, []string{"--registry", "etcd://flag/x"}, "etcd://flag/x", "staging"},
		"a flag and block": {map[string]string{"WARREN_ENVIRONMENT": "local"}, []string{"--environment", "production"}, "etcd://a:2379,b:2379/shop", "production"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			env, err := environment(t, tt.variables, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			if env.Registry != tt.registry || env.Environment != tt.named || env.Config != tt.registry || env.System != "shop" {
				t.Errorf("got %+v", env)
			}
			if got, want := env.Expand(env.Database), "postgres://db/shop_"+tt.named+"_catalog"; got != want {
				t.Errorf("database: got %s, want %s", got, want)
			}
		})
	}
}

func TestWithoutASystemFileTheEnvironmentIsLocal(t *testing.T) {
	env, err := ReadEnvironment([]string{"--data", t.TempDir(), "--service", "x"}, func(string) string { return "" }, os.Stderr)
	if err != nil || env.Environment != "local" || env.System != "x" || env.Instance == "" {
		t.Errorf("got %+v, %v", env, err)
	}
}

func TestMistakesInTheEnvironment(t *testing.T) {
	for want, args := range map[string][]string{
		"read flags: flag provided but not defined: -zonne; --help lists them": {"--zonne", "a"},
		`read flags: unexpected argument "up"; --help lists them`:              {"up"},
		`there is no environment "prod"`:                                       {"--environment", "prod"},
	} {
		if _, err := environment(t, nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
	var out bytes.Buffer
	_, err := ReadEnvironment([]string{"--help"}, os.Getenv, &out)
	if !errors.Is(err, ErrHelp) || !strings.Contains(out.String(), "--log-level") || strings.Contains(out.String(), "parent-fd") {
		t.Errorf("help: %v\n%s", err, out.String())
	}
}
