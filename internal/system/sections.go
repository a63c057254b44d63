package system

import (
	"maps"
	"slices"

	"github.com/gowarren/warren/config"
)

// maxReplicas is more than one machine runs: a number beyond it is a typo.
const maxReplicas = 1000

// draft is a System while it is read: first the file, then over it the block
// of the environment.
type draft struct {
	*reader
	s            *System
	environments map[string]value
	order        []string
	settings     map[settingKey]int // index in s.Settings.Entries
	services     map[string]value   // where each service stands first
	top          value
}

type settingKey struct {
	name  string
	scope config.Scope
}

func (r *reader) system(text []byte, environment string) *System {
	top, ok := r.root(text)
	if !ok {
		return nil
	}
	d := &draft{
		reader: r, top: top,
		s: &System{
			File:        r.file,
			Environment: LocalEnvironment,
			Engines:     Engines{Registry: Embedded, Config: Embedded, Events: Embedded, Database: "sqlite:{data}/{service}.db", Metrics: Embedded},
			Gateway:     Listener{Address: "127.0.0.1:8080"},
			Console:     Listener{Address: "127.0.0.1:7070"},
			Admin:       Listener{Address: "127.0.0.1:7071"},
			Auth:        Auth{Keys: "contract:"},
		},
		environments: make(map[string]value),
		settings:     make(map[settingKey]int),
		services:     make(map[string]value),
	}
	fields := d.common()
	fields["system"] = r.into(&d.s.Name, plainName)
	fields["environment"] = r.into(&d.s.Environment, plainName)
	fields["environments"] = d.readEnvironments
	r.object(top, fields)
	d.overlay(environment)
	d.finish()
	return d.s
}

// common are the fields of the file that an environment may say otherwise.
func (d *draft) common() map[string]is {
	s := d.s
	return map[string]is{
		"services": d.readServices,
		"engines": func(v value) {
			d.object(v, map[string]is{
				"registry": d.engine(&s.Engines.Registry, engineAddress),
				"config":   d.engine(&s.Engines.Config, engineAddress),
				"database": d.engine(&s.Engines.Database, databaseAddress),
				"traces":   d.engine(&s.Engines.Traces, tracesAddress),

				"events":       d.engine(&s.Engines.Events, eventsAddress),
				"locks":        d.engine(&s.Engines.Locks, engineAddress),
				"transactions": d.engine(&s.Engines.Transactions, transactionsAddress),
				"metrics":      d.engine(&s.Engines.Metrics, embeddedOrOff),
			})
		},
		"gateway": func(v value) { d.object(v, map[string]is{"address": d.address(&s.Gateway.Address)}) },
		"console": func(v value) { d.object(v, map[string]is{"address": d.address(&s.Console.Address)}) },
		"admin":   func(v value) { d.object(v, map[string]is{"address": d.address(&s.Admin.Address)}) },
		"auth": func(v value) {
			d.object(v, map[string]is{
				"issuer":   d.into(&s.Auth.Issuer, notEmpty),
				"audience": d.into(&s.Auth.Audience, notEmpty),
				"keys":     d.into(&s.Auth.Keys, keysAddress),
			})
		},
		"settings": func(v value) { d.readSettings(v, config.Scope{}) },
		"methods":  d.readMethods,
	}
}

func (d *draft) readEnvironments(v value) {
	d.each(v, func(name string, at, v value) {
		if err := plainName(name); err != nil {
			d.reportf(at, err.Error(), "the environment's name is %q", name)
			return
		}
		d.environments[name] = v
		d.order = append(d.order, name)
	})
}

// overlay reads every environment's block, so that a mistake in production's
// shows on the laptop, and keeps what the chosen one says.
func (d *draft) overlay(environment string) {
	if environment != "" {
		d.s.Environment = environment
	} else {
		environment = d.s.Environment
	}
	d.s.Environments = d.order
	if _, ok := d.environments[environment]; !ok && len(d.order) > 0 && environment != LocalEnvironment {
		known := append([]string{LocalEnvironment}, d.order...)
		d.reportf(value{at: d.top.at, field: "environments"}, DidYouMean(environment, known), "there is no environment %q", environment)
	}
	for _, name := range d.order {
		target := d
		if name != environment {
			target = d.scratch()
		}
		d.object(d.environments[name], target.common())
		target.checkServices()
	}
	d.checkServices()
}

// scratch is a copy of the draft whose values nobody will look at; its problems
// are the file's.
func (d *draft) scratch() *draft {
	s := *d.s
	s.Services = slices.Clone(s.Services)
	for i := range s.Services {
		s.Services[i].Env = maps.Clone(s.Services[i].Env)
	}
	s.Settings.Entries = slices.Clone(s.Settings.Entries)
	return &draft{reader: d.reader, s: &s, settings: maps.Clone(d.settings), services: maps.Clone(d.services), top: d.top}
}

// finish fills in what follows from the rest, and reports what is missing.
func (d *draft) finish() {
	s := d.s
	if s.Name == "" && !d.reported("system") {
		d.reportf(value{at: d.top.at, field: "system"}, "add a line such as system: shop", "is missing")
	}
	if s.Auth.Issuer == "" {
		s.Auth.Issuer = s.Name
	}
	if s.Auth.Audience == "" {
		s.Auth.Audience = s.Name
	}
}

// reported says whether a problem of the field, or below it, is known already:
// what follows from it needn't be told as well.
func (d *draft) reported(field string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		return p.Field == field || len(p.Field) > len(field) && p.Field[:len(field)+1] == field+"."
	})
}
