package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/reflected"
	"github.com/gowarren/warren/internal/system"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

// patience bounds how long the command waits for the registry.
const patience = 5 * time.Second

// guest is the command inside a running system: it sees the registry and may
// call, but serves nothing.
type guest struct {
	env      node.Environment
	registry *registry.Registry
	key      *auth.ServiceKey
}

func (o *options) visit(ctx context.Context) (*guest, error) {
	env, err := o.environmentOf()
	if err != nil {
		return nil, err
	}
	if env.Registry == "" {
		return nil, o.nothingRuns("registry", "WARREN_REGISTRY")
	}
	driver, err := node.OpenRegistry(ctx, env.Registry)
	if err != nil {
		return nil, err
	}
	g := &guest{env: env, registry: registry.New(driver, registry.Options{Logger: slog.New(slog.DiscardHandler)})}
	if g.key, err = node.ReadKey(env.KeyFile); err != nil {
		return nil, errors.Join(err, g.close())
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := g.registry.Ready(wait); err != nil {
		return nil, errors.Join(fmt.Errorf("the registry does not answer: %w; warren doctor looks closer", err), g.close())
	}
	return g, nil
}

func (g *guest) close() error { return g.registry.Close() }

// reader asks instances for their contracts in the command's name.
func (g *guest) reader() *reflected.Reader {
	return &reflected.Reader{Token: func() (string, string) {
		if g.key == nil {
			return "", ""
		}
		token, err := g.key.Sign("warren")
		if err != nil {
			return "", "" // reflection is open to everybody inside
		}
		return rpc.MetadataService, token
	}}
}

// files reads the descriptors of one contract from an instance that serves it.
func (g *guest) files(ctx context.Context, name string) (*protoregistry.Files, error) {
	set, err := g.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	return reflected.Link(set)
}

// describe asks the instances of a contract, one after the other, what it is.
func (g *guest) describe(ctx context.Context, name string) (*descriptorpb.FileDescriptorSet, error) {
	var errs []error
	for _, i := range g.registry.Contract(name) {
		set, err := g.reader().Files(ctx, i.Address, name)
		if err == nil {
			return set, nil
		}
		errs = append(errs, err)
	}
	if errs == nil {
		return nil, fmt.Errorf("nobody serves %s%s", name, g.whoServes(name))
	}
	return nil, errors.Join(errs...)
}

// whoServes ends the sentence that nobody serves a contract.
func (g *guest) whoServes(name string) string {
	short := name[strings.LastIndex(name, ".")+1:]
	var all []string
	for _, c := range g.contracts() {
		if strings.EqualFold(c[strings.LastIndex(c, ".")+1:], short) {
			return "; did you mean " + c + "?"
		}
		if !strings.HasPrefix(c, "warren.") && !strings.HasPrefix(c, "grpc.") {
			all = append(all, c)
		}
	}
	if meant := system.DidYouMean(name, all); strings.HasPrefix(meant, "did you mean") {
		return "; " + meant
	}
	if all == nil {
		return "; warren ps tells what runs"
	}
	return "; there are " + strings.Join(all, ", ")
}

// contracts lists what is served, by name.
func (g *guest) contracts() []string {
	var out []string
	for _, i := range g.registry.Snapshot().Instances {
		out = append(out, i.Contracts...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// registered reads the descriptors of everything that is served.
func (g *guest) registered(ctx context.Context) (*protoregistry.Files, error) {
	all := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, name := range g.contracts() {
		set, err := g.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, f := range set.GetFile() {
			if !seen[f.GetName()] {
				seen[f.GetName()] = true
				all.File = append(all.File, f)
			}
		}
	}
	return protodesc.NewFiles(all)
}
