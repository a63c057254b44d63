// Package system reads warren.yaml: what a system consists of, which engines
// carry it, and the settings that the file makes. The services read it when
// they start, and the supervisor to know what to start.
//
// The file is checked as a whole: every mistake is told with its place, its
// field and what would be right.
package system

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gowarren/warren/config"
)

// Embedded is the engine that runs inside the supervisor.
const Embedded = "embedded"

// Off is the engine that is not wanted.
const Off = "off"

// LocalEnvironment is the environment where nobody named one.
const LocalEnvironment = "local"

// System is what the file says, for one environment.
type System struct {
	// File is the file's path and Dir its folder, below which the services'
	// paths are; both absolute, so that they hold in other processes too.
	File, Dir string

	Name        string
	Environment string
	// Environments are the names under environments.
	Environments []string
	Services     []Service // in the order of the file
	Engines      Engines
	Gateway      Listener
	Console      Listener
	Admin        Listener // the supervisor's own
	Auth         Auth
	// Settings is what the file says about settings: of all services, of one,
	// and of methods.
	Settings config.FileLayer
}

// Service is one entry of services.
type Service struct {
	Name string
	// Path is the Go package of the service, below System.Dir; or Program the
	// binary to run as it is.
	Path, Program string
	Args          []string
	Replicas      int
	// Address is where the service listens by itself, for what isn't found by
	// contract. Usually empty.
	Address string
	// Database is the service's own, instead of the engine's: a URL, or several,
	// divided by spaces, for a service that is spread over databases.
	Database string
	// Env is added to the environment of the service's processes.
	Env map[string]string
	// Position is where the file says it, for errors found later.
	Position string
}

// Engines are what carries the system: Embedded or URLs, in which {system},
// {environment}, {service} and {data} stand for what they name.
type Engines struct {
	Registry, Config, Database string
	Events                     string
	Locks                      string // empty: those of the registry, where it has any
	// Transactions is the coordinator's database, or Embedded: the coordinator
	// is one more service of the supervisor, with its data where all have it.
	// Empty: the supervisor starts none.
	Transactions string
	// Traces is where traces go: Embedded, with "://host:port" behind it for a
	// port that others know, or a collector's URL. Empty: nowhere.
	Traces string
	// Metrics is Embedded or Off: whether the supervisor keeps the metrics, and
	// watches them for alerts.
	Metrics string
}

// Listener is where an edge of the system listens.
type Listener struct {
	Address string
}

// Auth says whose tokens are accepted.
type Auth struct {
	Issuer, Audience string
	// Keys is where the tokens' keys come from: "contract:" or the https URL of
	// a JWKS.
	Keys string
}

// Load reads the file for an environment; empty means the one that the file
// names.
func Load(path, environment string) (*System, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read system file: %w; name another with WARREN_SYSTEM_FILE", err)
	}
	file, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read system file: %w", err)
	}
	s, err := Parse(path, text, environment)
	if err != nil {
		return nil, err
	}
	s.File, s.Dir = file, filepath.Dir(file)
	return s, nil
}

// Parse is Load for a file that was read before; path is its name in errors,
// and File as it is.
func Parse(path string, text []byte, environment string) (*System, error) {
	r := &reader{file: path}
	s := r.system(text, environment)
	if err := r.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Service returns the service of a name.
func (s *System) Service(name string) (Service, bool) {
	for _, service := range s.Services {
		if service.Name == name {
			return service, true
		}
	}
	return Service{}, false
}
