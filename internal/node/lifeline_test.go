package node

import (
	"net"
	"strconv"
	"testing"
)

func TestAdvertise(t *testing.T) {
	for _, c := range []struct{ listen, advertise, first, beside string }{
		{"127.0.0.1:0", "", "127.0.0.1:own", "127.0.0.1:own"},
		{"127.0.0.1:0", "10.0.0.5", "10.0.0.5:own", "10.0.0.5:own"},
		{"127.0.0.1:0", "10.0.0.5:9000", "10.0.0.5:9000", "10.0.0.5:own"},
		{"127.0.0.1:0", "[2001:db8::5]:9000", "[2001:db8::5]:9000", "[2001:db8::5]:own"},
		{":0", "pod.example", "pod.example:own", "pod.example:own"},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		own := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		for what, one := range map[string]struct {
			of   func(net.Listener) (string, error)
			want string
		}{"first": {Environment{Advertise: c.advertise}.AdvertiseAddress, c.first}, "beside": {Environment{Advertise: c.advertise}.AdvertiseBeside, c.beside}} {
			got, err := one.of(l)
			host, port, _ := net.SplitHostPort(one.want)
			if port == "own" {
				port = own
			}
			if want := net.JoinHostPort(host, port); err != nil || got != want {
				t.Errorf("%s of %s, advertised as %q: %s, %v, want %s", what, c.listen, c.advertise, got, err, want)
			}
		}
	}
}

// A listener on any address stands in the registry under one that others can reach.
func TestTheAdminListenerCanBeReached(t *testing.T) {
	for admin, want := range map[string]string{"127.0.0.1:0": "127.0.0.1", ":0": "pod.example"} {
		n, err := Open(t.Context(), Environment{Service: "catalog", Instance: "catalog/1", Environment: "local", LogLevel: "error",
			Admin: admin, Advertise: "pod.example:9000", Data: t.TempDir()}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if host, port, err := net.SplitHostPort(n.admin.address); err != nil || host != want || port == "9000" {
			t.Errorf("%s: %s, %v", admin, n.admin.address, err)
		}
		if err := n.Finish(); err != nil {
			t.Error(err)
		}
	}
}
