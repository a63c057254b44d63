package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/experiment"
)

func newExperimentRun(o *options) *cobra.Command {
	t := &trial{options: o}
	c := &cobra.Command{
		Use: "run file.yaml", Short: "Run the experiments of a file, until their end or Ctrl-C",
		Args: takes(1, 1, "a file of experiments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reqs, err := experiment.ReadFile(args[0])
			if err != nil {
				return err
			}
			return t.withExperiments(func(c observev1.ExperimentServiceClient) error {
				started, err := t.begin(cmd, c, reqs...)
				if err != nil {
					return err
				}
				return t.await(cmd, c, started)
			})
		},
	}
	c.Flags().BoolVar(&t.yes, "yes", false, "start without asking")
	return c
}

// await returns when the last experiment is over. Who does not wait ends them.
func (t *trial) await(cmd *cobra.Command, c observev1.ExperimentServiceClient, started []*observev1.Experiment) error {
	const look = 200 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		running := false
		resp, err := c.List(cmd.Context(), &observev1.ExperimentServiceListRequest{})
		for _, e := range resp.GetExperiments() {
			for _, own := range started {
				running = running || e.GetName() == own.GetName() && e.GetStarted().AsTime().Equal(own.GetStarted().AsTime())
			}
		}
		if err == nil && !running {
			if t.json {
				return nil
			}
			return note(cmd, "all experiments are over")
		}
		if err != nil && cmd.Context().Err() == nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-cmd.Context().Done():
			return errors.Join(cmd.Context().Err(), stopAll(cmd, c, started, "the command that runs their file was ended"))
		}
	}
}

// stopAll ends experiments, also when the command itself was told to end.
func stopAll(cmd *cobra.Command, c observev1.ExperimentServiceClient, started []*observev1.Experiment, why string) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), patience)
	defer cancel()
	var errs []error
	for _, e := range started {
		_, err := c.Stop(ctx, &observev1.ExperimentServiceStopRequest{Name: e.GetName(), Author: author(), Reason: why})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
