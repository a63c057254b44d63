package system

import (
	"path/filepath"
	"slices"

	"github.com/gowarren/warren/config"
)

// edges are the processes of every system that a service can't be named like.
var edges = [...]string{"gateway", "console", "coordinator", "warren"}

func (d *draft) readServices(v value) {
	d.each(v, func(name string, at, v value) {
		if err := plainName(name); err != nil {
			d.reportf(at, err.Error(), "the service's name is %q", name)
			return
		}
		if slices.Contains(edges[:], name) {
			d.reportf(at, "choose another", "the name %s is the system's own", name)
			return
		}
		if _, ok := d.services[name]; !ok {
			d.services[name] = at
			d.s.Services = append(d.s.Services, Service{Name: name, Replicas: 1, Position: d.position(at)})
		}
		i := slices.IndexFunc(d.s.Services, func(s Service) bool { return s.Name == name })
		d.readService(&d.s.Services[i], v)
	})
}

func (d *draft) readService(s *Service, v value) {
	d.object(v, map[string]is{
		"path":     d.into(&s.Path, servicePath),
		"program":  d.into(&s.Program, notEmpty),
		"args":     d.list(&s.Args),
		"database": d.into(&s.Database, databaseAddresses),
		"replicas": d.count(&s.Replicas),
		"address":  d.address(&s.Address),
		"env":      func(v value) { d.readEnv(s, v) },
		"settings": func(v value) { d.readSettings(v, config.Scope{Service: s.Name}) },
	})
}

func (d *draft) readEnv(s *Service, v value) {
	d.each(v, func(name string, at, v value) {
		if err := variableName(name); err != nil {
			d.reportf(at, err.Error(), "the variable's name is %q", name)
			return
		}
		text, ok := d.text(v)
		if !ok {
			return
		}
		if s.Env == nil {
			s.Env = make(map[string]string)
		}
		s.Env[name] = text
	})
}

// checkServices reports services of which nobody could tell what to run.
func (d *draft) checkServices() {
	for _, s := range d.s.Services {
		at := d.services[s.Name]
		switch {
		case d.reported(at.field):
		case s.Path == "" && s.Program == "":
			d.reportf(at, "add path: ./"+s.Name+", its Go package", "has neither path nor program")
		case s.Path != "" && s.Program != "":
			d.reportf(at, "remove one of them", "has both path and program")
		}
	}
}

// address reads where to listen. Without a host it is this machine only:
// whoever wants the world says 0.0.0.0.
func (r *reader) address(where *string) is {
	var text string
	read := r.into(&text, listenAddress)
	return func(v value) {
		text = ""
		if read(v); text != "" {
			*where = withHost(text)
		}
	}
}

// servicePath refuses what holds on one machine only.
func servicePath(path string) error {
	if path == "" || filepath.IsAbs(path) {
		return errPath
	}
	return nil
}
