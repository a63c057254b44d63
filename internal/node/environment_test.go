package node

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, vars map[string]string, args ...string) (Environment, error) {
	t.Helper()
	return ReadEnvironment(args, func(key string) string { return vars[key] }, io.Discard)
}

func TestFlagsWinOverVariablesOverTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "warren.yaml")
	write(t, file, `
system: shop
services:
  catalog: {path: ./catalog}
engines:
  registry: etcd://file:2379/shop
  config: etcd://file:2379/shop
  database: "postgres://file/{service}"
`)
	vars := map[string]string{"WARREN_SYSTEM_FILE": file, "WARREN_CONFIG": "etcd://variable:2379/shop", "WARREN_REGISTRY": "etcd://variable:2379/shop"}
	env, err := read(t, vars, "--registry", "etcd://flag:2379/shop", "--data", dir)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][2]string{
		"flag":     {env.Registry, "etcd://flag:2379/shop"},
		"variable": {env.Config, "etcd://variable:2379/shop"},
		"file":     {env.Database, "postgres://file/{service}"},
		"default":  {env.LogLevel, "info"},
		"system":   {env.System, "shop"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %q, want %q", what, got[0], got[1])
		}
	}
}

func TestProcessStartedByHandJoinsTheRunningSystem(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	supervisor, err := net.Listen("unix", ControlSocket(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer supervisor.Close()
	write(t, filepath.Join(dir, "run", "env"), "WARREN_REGISTRY=etcd://running:2379/shop\nWARREN_SYSTEM=shop\n")
	env, err := read(t, nil, "--data", dir, "--service", "catalog")
	if err != nil {
		t.Fatal(err)
	}
	if env.Registry != "etcd://running:2379/shop" || env.Config != env.Registry || env.System != "shop" {
		t.Errorf("environment: %+v", env)
	}
	alone, err := read(t, map[string]string{"WARREN_REGISTRY": "etcd://own:2379/own"}, "--data", dir)
	if err != nil {
		t.Fatal(err)
	}
	if alone.Registry != "etcd://own:2379/own" || alone.System == "shop" {
		t.Errorf("a process with a registry of its own joined: %+v", alone)
	}
}

func TestMistakesInTheEnvironmentAreNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"argument":     {[]string{"catalog"}, `unexpected argument "catalog"`},
		"flag":         {[]string{"--registri", "x"}, "registri"},
		"missing file": {[]string{"--system-file", "/nowhere/warren.yaml"}, "/nowhere/warren.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, nil, append([]string{"--data", t.TempDir()}, tt.args...)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpenNamesMistakes(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"registry scheme":    {[]string{"--registry", "zookeeper://x/shop"}, "linked: etcd, static"},
		"registry parameter": {[]string{"--registry", "etcd://127.0.0.1:1/shop?tll=5s"}, "tll"},
		"config scheme":      {[]string{"--config", "consul://x/shop"}, "linked: etcd, file"},
		"log level":          {[]string{"--log-level", "loud"}, "debug, info, warn or error"},
		"traces":             {[]string{"--traces", "jaeger://x"}, "otlp"},
		"key":                {[]string{"--key-file", "/nowhere/key"}, "/nowhere/key"},
		"admin":              {[]string{"--admin", "nonsense"}, "nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := read(t, nil, append([]string{"--service", "x", "--data", t.TempDir()}, tt.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			n, err := Open(t.Context(), env, Options{})
			if err == nil {
				n.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
