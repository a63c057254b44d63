package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gowarren/warren/internal/node"
)

// data is the folder in which a system lives: one supervisor at a time.
//
//	etcd/        registry, live settings and locks
//	events/      what NATS keeps of events
//	<service>.db databases
//	bin/ log/    what is built, what is printed
//	snapshots/   what processes remember for a start without the registry
//	run/         sockets, and the environment for processes that join
//	key          the system's secret
type data struct {
	dir  string
	lock *os.File
}

// maxSocketPath is what every Unix allows for the name of a socket.
const maxSocketPath = 100

// lockName is the file that the supervisor holds locked.
const lockName = "lock"

// openData takes the folder, emptied first if fresh.
func openData(dir string, fresh bool) (*data, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if len(node.ControlSocket(dir)) > maxSocketPath {
		return nil, fmt.Errorf("open data folder %s: its name is too long for the sockets in it; give a shorter one with --data", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if fresh {
		if err := emptiable(dir); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open data folder %s: another system runs in it; stop that one with warren down, "+
			"or give this one a folder of its own with --data", dir)
	}
	d := &data{dir: dir, lock: lock}
	if fresh {
		if err := d.empty(); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	if err := os.MkdirAll(d.path("run"), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("open data folder: %w", err), d.close())
	}
	if err := d.sweep(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// emptiable tells whether a folder may be emptied: one that a system has lived in,
// or in which nothing is. Who names another by mistake must not lose it.
func emptiable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("empty data folder: %w", err)
	}
	for _, left := range []string{lockName, "run"} {
		if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == left }) && len(entries) > 0 {
			return fmt.Errorf("empty data folder %s: what is in it was not left by a system; give another folder with --data, or empty it yourself", dir)
		}
	}
	return nil
}

// sweep removes the sockets that processes left which were killed. Who answers
// on his, or is about to, keeps it: he was started by hand and outlived the
// supervisor before.
func (d *data) sweep() error {
	sockets, err := filepath.Glob(d.path("run", "*.sock"))
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	for _, path := range sockets {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", path) // at once, or not at all
		if err == nil {
			_ = conn.Close()
			continue
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("open data folder: %w", err)
			}
		}
	}
	return nil
}

func (d *data) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

// empty removes what earlier runs left, except binaries, which the Go build
// cache would give back unchanged, and the lock that is held.
func (d *data) empty() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("empty data folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockName || e.Name() == "bin" {
			continue
		}
		if err := os.RemoveAll(d.path(e.Name())); err != nil {
			return fmt.Errorf("empty data folder: %w", err)
		}
	}
	return nil
}

// key returns the file of the system's secret, made on first use.
func (d *data) key() (string, error) {
	path := d.path("key")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	secret := rand.Text() + rand.Text() + rand.Text()
	// In one step: half a key, of a disk that was full, would be one for ever.
	next := path + ".next"
	err := os.WriteFile(next, []byte(secret+"\n"), 0o600)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return "", fmt.Errorf("write the system's key: %w", err)
	}
	return path, nil
}

// publish writes the environment for processes that are started by hand.
func (d *data) publish(environment []string) error {
	text := strings.Join(environment, "\n") + "\n"
	if err := os.WriteFile(d.path("run", "env"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("publish the system's environment: %w", err)
	}
	return nil
}

func (d *data) close() error {
	_ = os.Remove(d.path("run", "env"))
	return d.lock.Close() // and with it the lock
}
