package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/system"
)

// checkPlace reports a place of settings where nobody is: a slip of the finger
// would be obeyed by nobody, and noticed by nobody. What cannot be asked is
// believed: during an outage settings matter most.
func (o *options) checkPlace(ctx context.Context, place config.Scope) error {
	g, err := o.visit(ctx)
	if err != nil {
		return nil // without a registry nothing is known
	}
	defer g.close()
	if err := o.checkOwner(g, place.Service); err != nil {
		return err
	}
	contract, method, ok := strings.Cut(strings.TrimPrefix(place.Method, "/"), "/")
	if !ok {
		return nil
	}
	if !slices.Contains(g.contracts(), contract) {
		return fmt.Errorf("nobody serves %s%s", contract, g.whoServes(contract))
	}
	files, err := g.files(ctx, contract)
	if err != nil {
		return nil // who serves it does not answer now
	}
	_, err = findMethod(files, contract, method)
	return err
}

// checkOwner reports a service that neither runs nor stands in the system
// file, or a contract that nobody serves.
func (o *options) checkOwner(g *guest, name string) error {
	if strings.Contains(name, ".") {
		if !slices.Contains(g.contracts(), name) {
			return fmt.Errorf("nobody serves %s%s", name, g.whoServes(name))
		}
		return nil
	}
	var known []string
	for _, i := range g.registry.Snapshot().Instances {
		known = append(known, i.Service)
	}
	if sys, err := system.Load(o.file, o.environment); err == nil {
		for _, s := range sys.Services {
			known = append(known, s.Name)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	if name == "" || slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("no service is called %s; %s", name, system.DidYouMean(name, known))
}
