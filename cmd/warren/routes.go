package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/registry"
)

func newRoutes(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "routes",
		Short: "List what the gateway routes where",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := o.visit(cmd.Context())
			if err != nil {
				return err
			}
			defer g.close()
			routes, err := g.routes(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), routes)
			}
			t := newTable(cmd.OutOrStdout(), "METHOD", "PATH", "ACCESS", "TARGET", "AVAILABLE")
			for _, r := range routes {
				t.row(r.Method, r.Pattern, r.Access, r.Target, strconv.FormatBool(r.Available))
			}
			return t.flush()
		},
	}
}

// route is one line of what a gateway shows.
type route struct {
	Method    string `json:"method"`
	Pattern   string `json:"pattern"`
	Access    string `json:"access"`
	Target    string `json:"target"`
	Available bool   `json:"available"`
}

// routes asks a gateway for its table.
func (g *guest) routes(ctx context.Context) ([]route, error) {
	for _, i := range g.registry.Snapshot().Instances {
		if i.Service != "gateway" || i.State != registry.Ready {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Admin+"/debug/policies/routes", nil)
		if err != nil {
			return nil, err
		}
		resp, err := (&http.Client{Timeout: patience}).Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask the gateway for its routes: %w", err)
		}
		defer resp.Body.Close()
		var shown struct {
			Routes []route `json:"routes"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&shown); err != nil {
			return nil, fmt.Errorf("read the gateway's routes: %w", err)
		}
		return shown.Routes, nil
	}
	return nil, errors.New("no gateway is ready; warren ps tells more")
}
