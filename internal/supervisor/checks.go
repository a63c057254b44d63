package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
)

// checkPatience is how long an instance may take to tell how it is: longer than
// its own checks take at most, so that one that hangs is told by its name.
const checkPatience = 2500 * time.Millisecond

// check asks instances what they need to be ready, side by side, and adds what
// they say. One without a process has nobody to be asked.
func (s *Supervisor) check(ctx context.Context, instances []*fleetv1.Instance, whom fleetv1.Checks) {
	if whom == fleetv1.Checks_CHECKS_UNSPECIFIED {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	var asked sync.WaitGroup
	for _, i := range instances {
		switch {
		case whom == fleetv1.Checks_CHECKS_UNREADY && i.GetState() == fleetv1.State_STATE_READY:
		case i.GetAdmin() != "":
			asked.Go(func() {
				checks, err := askReady(ctx, i.GetAdmin())
				if i.Checks = checks; err != nil {
					i.Unchecked = err.Error()
				}
			})
		case i.GetPid() != 0:
			i.Unchecked = "it is not in the registry yet, which knows where to ask it"
		}
	}
	asked.Wait()
}

// askReady asks an admin listener whether its process can serve, or why not.
func askReady(ctx context.Context, admin string) ([]*fleetv1.Check, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return nil, fmt.Errorf("ask for its checks: %w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for its checks: %w", err)
	}
	defer resp.Body.Close()
	var said struct {
		Checks []struct {
			Name   string `json:"name"`
			OK     bool   `json:"ok"`
			Reason string `json:"reason"`
		} `json:"checks"`
	}
	const most = 1 << 20
	if err := json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&said); err != nil {
		return nil, fmt.Errorf("read its checks: %w", err)
	}
	out := make([]*fleetv1.Check, 0, len(said.Checks))
	for _, c := range said.Checks {
		out = append(out, &fleetv1.Check{Name: c.Name, Ok: c.OK, Reason: c.Reason})
	}
	return out, nil
}
