package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// postgres is a server of the measurement's own. Those of scripts/servers don't
// wait for the disk, which is right for tests and wrong here.
type postgres struct {
	bin, dir, host, port string
}

// openPostgres starts PostgreSQL as Debian ships it: fsync and synchronous_commit
// are on.
func (s *stage) openPostgres(ctx context.Context) (*postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, errors.New("find PostgreSQL: it is not there; scripts/servers start installs it")
	}
	p := &postgres{bin: slices.Max(found)}
	if p.dir, err = os.MkdirTemp("", "benchpg"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s.folders = append(s.folders, p.dir)
	if os.Getuid() == 0 {
		if err := os.Chown(p.dir, 65534, 65534); err != nil {
			return nil, fmt.Errorf("make a folder for nobody: %w", err)
		}
	}
	data := filepath.Join(p.dir, "data")
	if err := p.run(ctx, "initdb", "-D", data, "-U", "warren", "-A", "trust", "-E", "UTF8", "--locale=C"); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if p.host, p.port, err = net.SplitHostPort(address); err != nil {
		return nil, err
	}
	cmd := p.command(context.Background(), "postgres", "-D", data, "-h", p.host, "-p", p.port, "-k", p.dir,
		"-c", "max_connections=1200", "-c", "shared_buffers=256MB", "-c", "max_prepared_transactions=16")
	server, err := s.launch("postgres", "", cmd)
	if err != nil {
		return nil, err
	}
	server.end = syscall.SIGQUIT
	return p, p.await(ctx, server)
}

func (p *postgres) await(ctx context.Context, server *process) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := p.sql(ctx, "postgres", "DO $$ BEGIN IF current_setting('fsync') || current_setting('synchronous_commit') <> 'onon' THEN RAISE 'not durable'; END IF; END $$")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w\n%s", err, server.stderr.text)
		}
	}
}

func (p *postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	asNobody(cmd)
	return cmd
}

func (p *postgres) run(ctx context.Context, name string, args ...string) error {
	if out, err := p.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", name, err, out)
	}
	return nil
}

// sql runs a statement in a database.
func (p *postgres) sql(ctx context.Context, database, statement string, more ...string) error {
	return p.run(ctx, "psql", append([]string{"-q", "-X", "-v", "ON_ERROR_STOP=1", "-h", p.host, "-p", p.port, "-U", "warren", "-d", database, "-c", statement}, more...)...)
}

// create makes a database and returns its URL.
func (p *postgres) create(ctx context.Context, name string) (string, error) {
	name = strings.ReplaceAll(name, "-", "_")
	if err := p.sql(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres://warren@%s:%s/%s?sslmode=disable", p.host, p.port, name), nil
}
