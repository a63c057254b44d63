package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/export"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/internal/supervisor"
	"github.com/gowarren/warren/internal/system"
)

func newExport(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "export", Short: "Write what Prometheus, Grafana and others need that you already have"},
		newExportObservability(o), newExportTargets(o))
}

func newExportObservability(o *options) *cobra.Command {
	var out, runbooks string
	var force bool
	c := &cobra.Command{
		Use:   "observability",
		Short: "Write configurations and rules of Prometheus and Alertmanager, dashboards of Grafana, and what ships logs and traces",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := o.exported(cmd.Context())
			if err != nil {
				return err
			}
			opts.Runbooks = runbooks
			files, err := export.Files(opts)
			if err != nil {
				return err
			}
			err = export.Write(out, files, force)
			if changed := (*export.Changed)(nil); errors.As(err, &changed) {
				return fmt.Errorf("nothing written: %w; write over them with --force, or elsewhere with --out", err)
			}
			if err != nil {
				return err
			}
			names := make([]string, len(files))
			for n, f := range files {
				names[n] = filepath.Join(out, filepath.FromSlash(f.Name))
			}
			return o.printWords(cmd.OutOrStdout(), names, names)
		},
	}
	c.Flags().StringVar(&out, "out", "observability", "folder")
	c.Flags().StringVar(&runbooks, "runbooks", "", "where docs/alerts.md can be read; alerts lead there")
	c.Flags().BoolVar(&force, "force", false, "write over what was changed since")
	return c
}

// exported is what the files are about: the system file, its alerts, and the
// addresses of the system that runs, if one does.
func (o *options) exported(ctx context.Context) (export.Options, error) {
	s, err := system.Load(o.file, o.environment)
	if err != nil {
		return export.Options{}, err
	}
	alerts, err := rulesOnly(s.Dir)
	if err != nil {
		return export.Options{}, err
	}
	data, err := filepath.Abs(o.dataDir())
	if err != nil {
		return export.Options{}, fmt.Errorf("export: %w", err)
	}
	address := s.Admin.Address
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	running, err := o.describe(ctx)
	if err == nil && running.GetAdmin() != "" {
		address = running.GetAdmin()
	}
	settings, err := o.inForce(ctx, s, err == nil)
	if err != nil {
		return export.Options{}, err
	}
	defer settings.Close()
	limits, period := metricstore.WatchLimits(settings)(), alerting.WatchPeriod(settings)()
	return export.Options{
		System: s.Name, Environment: s.Environment, Data: data, Discovery: "http://" + address + supervisor.TargetsPath,
		Rules:  alerts.Rules(alerting.Timing{Period: period, Scrape: limits.ScrapeInterval, Evaluate: limits.EvaluationInterval}),
		Scrape: limits.ScrapeInterval, Evaluate: limits.EvaluationInterval, SampleLimit: limits.SampleLimit,
	}, nil
}

// inForce are the settings of the system file and, where the system runs, what was
// set live.
func (o *options) inForce(ctx context.Context, s *system.System, running bool) (*config.Settings, error) {
	file := config.FileLayer{Entries: slices.Clone(s.Settings.Entries)}
	if running {
		err := o.withCentre(ctx, func(ctx context.Context, c *config.Centre) error {
			_, live, err := c.Get(ctx)
			for _, e := range live {
				file.Entries = append(file.Entries, config.FileEntry{Name: e.Name, Scope: e.Scope, Value: e.Value, Position: "the configuration centre"})
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	return config.New(config.Options{Environment: s.Environment, File: file, Logger: slog.New(slog.DiscardHandler)})
}

// rulesOnly reads the alerts of a system without the secrets of its receivers,
// which nobody who exports rules has to know.
func rulesOnly(dir string) (alerting.Config, error) {
	text, err := os.ReadFile(filepath.Join(dir, alerting.FileName))
	if err != nil {
		return alerting.Load(dir) // one that is not there says nothing
	}
	return alerting.Parse(alerting.FileName, text, func(string) string { return "http://localhost" })
}

func (o *options) describe(ctx context.Context) (*fleetv1.System, error) {
	var found *fleetv1.System
	err := o.withFleet(func(c fleetv1.FleetServiceClient) error {
		resp, err := c.List(ctx, &fleetv1.ListRequest{})
		found = resp.GetSystem()
		return err
	})
	return found, err
}

func newExportTargets(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "targets",
		Short: "List what a Prometheus outside scrapes, as the running system tells it; --json is a file for file_sd_configs",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := o.describe(cmd.Context())
			if err != nil {
				return err
			}
			groups, err := readTargets(cmd.Context(), "http://"+running.GetAdmin()+supervisor.TargetsPath)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), groups)
			}
			t := newTable(cmd.OutOrStdout(), "SERVICE", "INSTANCE", "VERSION", "ADDRESS")
			for _, g := range groups {
				t.row(g.Labels["service"], g.Labels["instance"], orDash(g.Labels["version"]), strings.Join(g.Targets, " "))
			}
			return t.flush()
		},
	}
}

func readTargets(ctx context.Context, url string) ([]supervisor.TargetGroup, error) {
	const patience, most = 5 * time.Second, 64 << 20
	client := &http.Client{Timeout: patience}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	defer resp.Body.Close()
	var groups []supervisor.TargetGroup
	if err := json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&groups); err != nil {
		return nil, fmt.Errorf("read targets: %s answers %s: %w", url, resp.Status, err)
	}
	return groups, nil
}
