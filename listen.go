package warren

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/registry"
)

// maxSocketPath is what every Unix allows for the name of a socket.
const maxSocketPath = 100

// listen opens the service's listeners and says how it is served and drained.
func (a *App) listen() (node.Part, error) {
	if err := a.server.Check(); err != nil {
		return node.Part{}, err
	}
	tcp, err := a.node.Env.Listen()
	if err != nil {
		return node.Part{}, err
	}
	address, err := a.node.Env.AdvertiseAddress(tcp)
	if err != nil {
		return node.Part{}, err
	}
	listeners := []net.Listener{tcp}
	instance := registry.Instance{Address: address}
	for _, c := range a.server.Contracts() {
		instance.Contracts = append(instance.Contracts, c.Name)
	}
	if unix := a.listenLocal(); unix != nil {
		listeners = append(listeners, unix)
		instance.Socket = unix.Addr().String()
	}
	instances := []registry.Instance{instance}
	web, err := a.http.listen(a.node.Env)
	if err != nil {
		return node.Part{}, err
	}
	if web != nil {
		web.ID = a.node.Env.Instance + ".http"
		instances = append(instances, *web)
	}
	return node.Part{
		Instances: instances,
		Serve:     func() error { return a.server.Serve(listeners...) },
		SetReady:  a.server.SetServing,
		Drain:     a.drain,
		Stop: func() {
			a.server.Stop()
			a.http.stop()
		},
	}, nil
}

// listenLocal opens a unix socket for callers on the same machine. Without one
// they use the network, so nothing here is an error.
func (a *App) listenLocal() net.Listener {
	dir, err := filepath.Abs(filepath.Join(a.node.Env.Data, "run"))
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return nil
	}
	path := filepath.Join(dir, strings.ReplaceAll(a.node.Env.Instance, "/", "-")+".sock")
	if len(path) > maxSocketPath {
		return nil
	}
	_ = os.Remove(path) // of a process that was killed: ids are unique among the living
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil
	}
	return l
}

func (a *App) drain(ctx context.Context) error {
	// Beside one another: none may cost the others its time.
	web, handlers := make(chan error, 1), make(chan error, 1)
	go func() { web <- a.http.drain(ctx) }()
	go func() { handlers <- a.drainEvents(ctx) }()
	var err error
	if report := a.server.Drain(ctx); report.Cut > 0 {
		err = fmt.Errorf("drain: %d calls were cut off", report.Cut)
	}
	return errors.Join(err, <-web, <-handlers)
}
