// Package etcdurl turns a URL such as etcd://a:2379,b:2379/shop into an etcd
// client that is quiet, reconnects for ever and never delays a start: the
// registry and the config centre share one form of address.
//
// # URLs
//
//	etcd://[user:password@]host:port[,host:port…]/<system>?param=value
//
// The path names the system, so that one cluster can carry several. These
// parameters are common to every driver; each driver adds its own:
//
//	dial_timeout   bound on one attempt to reach the cluster (3s)
//	tls            speak TLS with the system's roots (false; implied by those below)
//	ca, cert, key  PEM files: the cluster's authority, the client's certificate and key
//	server_name    the name expected in the cluster's certificate
//	password_file  file with the password of the URL's user, instead of in the URL
package etcdurl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/gowarren/warren/internal/openurl"
)

// Target is a parsed URL.
type Target struct {
	// Config makes the client; see [NewClient].
	Config clientv3.Config
	// Prefix begins every key of the system: "/<system>/".
	Prefix string
	// Params holds the driver's own parameters. The driver reads them and then
	// calls Params.Err, which also reports the mistakes in the common ones.
	Params *openurl.Params
}

// Parse reads u.
func Parse(u *url.URL) (Target, error) {
	endpoints, err := hosts(u.Host)
	if err != nil {
		return Target{}, err
	}
	system := strings.Trim(u.Path, "/")
	if system == "" || strings.Contains(system, "/") {
		return Target{}, errors.New("the path must be the name of the system: etcd://host:2379/<system>")
	}
	params := openurl.NewParams(u)
	timeout := params.Duration("dial_timeout", 3*time.Second)
	user, password, err := credentials(u, params.String("password_file", ""))
	if err != nil {
		return Target{}, err
	}
	secure, err := tlsConfig(params)
	if err != nil {
		return Target{}, err
	}
	dial := []grpc.DialOption{
		// gRPC would wait up to two minutes between attempts to connect: too
		// long for a registry that has come back.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: timeout,
		}),
	}
	if secure != nil && secure.ServerName != "" {
		// gRPC checks the host that it dials, whatever the TLS configuration says.
		dial = append(dial, grpc.WithAuthority(secure.ServerName))
	}
	return Target{
		Prefix: "/" + system + "/",
		Params: params,
		Config: clientv3.Config{
			Endpoints:   endpoints,
			Username:    user,
			Password:    password,
			TLS:         secure,
			DialTimeout: timeout,
			// A dead peer is found by a ping. The server refuses pings more
			// often than every 5 s.
			DialKeepAliveTime:    10 * time.Second,
			DialKeepAliveTimeout: 3 * time.Second,
			// The drivers retry for ever with their own backoff; a hundred
			// retries below them would only hide the cause until the deadline.
			MaxUnaryRetries: 2,
			DialOptions:     dial,
			// The client logs every failed attempt. What matters in them comes
			// back as errors, and those are logged once, by whoever decides.
			Logger: zap.NewNop(),
		},
	}, nil
}

func hosts(list string) ([]string, error) {
	if list == "" {
		return nil, errors.New("the URL has no host: etcd://host:2379/<system>")
	}
	endpoints := strings.Split(list, ",")
	for i, endpoint := range endpoints {
		host, port, err := net.SplitHostPort(endpoint)
		switch {
		case err != nil && strings.Contains(err.Error(), "missing port"):
			endpoints[i] = endpoint + ":2379"
		case err != nil || host == "" || port == "":
			return nil, fmt.Errorf("malformed host %q in the list of hosts", endpoint)
		}
	}
	return endpoints, nil
}

func credentials(u *url.URL, file string) (user, password string, err error) {
	user = u.User.Username()
	password, inURL := u.User.Password()
	switch {
	case file != "" && inURL:
		return "", "", errors.New("the password is given twice: in the URL and by password_file")
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", "", fmt.Errorf("read password_file: %w", err)
		}
		password = strings.TrimSpace(string(text))
	}
	if (user == "") != (password == "") {
		return "", "", errors.New("a user needs a password, and a password a user")
	}
	return user, password, nil
}

// tlsConfig is nil when no parameter asks for TLS.
func tlsConfig(params *openurl.Params) (*tls.Config, error) {
	wanted := params.Bool("tls", false)
	ca, cert, key := params.String("ca", ""), params.String("cert", ""), params.String("key", "")
	name := params.String("server_name", "")
	if !wanted && ca == "" && cert == "" && key == "" && name == "" {
		return nil, nil
	}
	config := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca %s: no certificate in it", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read cert and key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
