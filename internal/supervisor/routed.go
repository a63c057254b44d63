package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/registry"
)

// waitFor returns when the instances of the services named, or of all, are
// ready and the gateway routes to them.
func (s *Supervisor) waitFor(ctx context.Context, services ...string) error {
	if err := s.fleet.Wait(ctx, services...); err != nil {
		return err
	}
	s.waitRouted(ctx)
	return nil
}

// waitRouted gives the gateway the moment that it needs to read the contracts
// of who has just become ready. A contract that cannot be read at all must not
// keep the rest waiting.
func (s *Supervisor) waitRouted(ctx context.Context) {
	const patience, pause = 3 * time.Second, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for !s.routed(ctx) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// routed tells whether every gateway knows every contract of every process.
// What else is registered may be dead: its lease has not ended yet.
func (s *Supervisor) routed(ctx context.Context) bool {
	instances := slices.DeleteFunc(slices.Clone(s.registry.Snapshot().Instances), func(i registry.Instance) bool {
		return !slices.ContainsFunc(s.fleet.Status(), func(st fleet.Status) bool { return st.Instance == i.ID })
	})
	for _, gateway := range instances {
		if gateway.Service != "gateway" || gateway.State != registry.Ready {
			continue
		}
		known, err := askContracts(ctx, gateway.Admin)
		if err != nil {
			s.log.Debug("gateway not asked for its contracts", "instance", gateway.ID, "error", err)
			return false
		}
		for _, i := range instances {
			for _, name := range i.Contracts {
				if i.State == registry.Ready && !slices.Contains(known[i.ID], name) {
					return false
				}
			}
		}
	}
	return true
}

func askContracts(ctx context.Context, admin string) (map[string][]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/debug/policies/contracts", nil)
	if err != nil {
		return nil, fmt.Errorf("ask a gateway for its contracts: %w", err)
	}
	resp, err := (&http.Client{Timeout: time.Second}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask a gateway for its contracts: %w", err)
	}
	defer resp.Body.Close()
	var shown struct {
		Contracts map[string][]string `json:"contracts"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&shown); err != nil {
		return nil, fmt.Errorf("read a gateway's contracts: %w", err)
	}
	return shown.Contracts, nil
}
