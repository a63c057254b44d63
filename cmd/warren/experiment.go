package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/experiment"
)

func (o *options) withExperiments(f func(observev1.ExperimentServiceClient) error) error {
	return o.withObserve(func(c grpc.ClientConnInterface) error { return f(observev1.NewExperimentServiceClient(c)) })
}

func newExperiment(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "experiment", Short: "Put a fault into the running system, for a time"},
		newExperimentStart(o), newExperimentRun(o), newExperimentList(o), newExperimentStop(o))
}

// trial are the flags that every fault has.
type trial struct {
	*options
	name, reason string
	duration     time.Duration
	yes          bool
}

func (t *trial) flags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&t.name, "name", "", "of the experiment (default made of the fault)")
	c.Flags().StringVar(&t.reason, "reason", "", "what is to be learned, for the record (required)")
	c.Flags().Var((*spanFlag)(&t.duration), "for", "how long (default experiment.duration, 5 minutes)")
	c.Flags().BoolVar(&t.yes, "yes", false, "start without asking")
	return c
}

func newExperimentStart(o *options) *cobra.Command {
	return newGroup(&cobra.Command{
		Use: "start", Short: "Show what a fault would hit, ask, and begin",
		Example: "  warren experiment start latency payment --delay 2s --share 0.5 --for 2m --reason 'does checkout hold?'\n" +
			"  warren experiment start partition order catalog --reason 'what do customers read?'",
	}, newStartLatency(&trial{options: o}), newStartError(&trial{options: o}), newStartKill(&trial{options: o}), newStartPartition(&trial{options: o}))
}

func newStartLatency(t *trial) *cobra.Command {
	f := &observev1.LatencyFault{}
	var delay, jitter time.Duration
	c := t.flags(&cobra.Command{
		Use: "latency service", Short: "Delay calls before their handler sees them",
		Args: takes(1, 1, "one service"), ValidArgsFunction: t.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Service, f.Delay, f.Jitter = args[0], durationpb.New(delay), durationpb.New(jitter)
			return t.start(cmd, &observev1.Fault{Kind: &observev1.Fault_Latency{Latency: f}})
		},
	})
	delay = time.Second
	c.Flags().Var((*spanFlag)(&delay), "delay", "how long calls are held back")
	c.Flags().Var((*spanFlag)(&jitter), "jitter", "how much longer or shorter, by chance")
	shared(c, &f.Method, &f.Share)
	return c
}

func newStartError(t *trial) *cobra.Command {
	f := &observev1.ErrorFault{}
	c := t.flags(&cobra.Command{
		Use: "error service", Short: "Fail calls instead of their handler",
		Args: takes(1, 1, "one service"), ValidArgsFunction: t.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Service = args[0]
			return t.start(cmd, &observev1.Fault{Kind: &observev1.Fault_Error{Error: f}})
		},
	})
	c.Flags().StringVar(&f.Code, "code", "UNAVAILABLE", "with which code")
	shared(c, &f.Method, &f.Share)
	return c
}

// shared are the flags of faults that hit calls. A share of 0, which the contract
// takes for one that was not given, is refused: whoever writes it wants to hit none.
func shared(c *cobra.Command, method *string, share *float64) {
	*share = 1
	c.Flags().StringVar(method, "method", "", "one method, such as shop.payment.v1.PaymentService/Capture (default all)")
	c.Flags().Var((*shareFlag)(share), "share", "of the calls that are hit")
}

// spanFlag is a time. What it says of another text is what the console says.
type spanFlag time.Duration

func (f *spanFlag) String() string {
	if *f == 0 {
		return ""
	}
	return time.Duration(*f).String()
}

// Set implements [pflag.Value].
func (f *spanFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("want a time such as 300ms, 2s or 5m")
	}
	*f = spanFlag(d)
	return nil
}

// Type implements [pflag.Value].
func (*spanFlag) Type() string { return "duration" }

// shareFlag is a part of the calls, but not none.
type shareFlag float64

func (f *shareFlag) String() string { return strconv.FormatFloat(float64(*f), 'g', -1, 64) }

// Set implements [pflag.Value].
func (f *shareFlag) Set(text string) error {
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share > 0 && share <= 1) {
		return errors.New("want more than 0 and at most 1, which is every call")
	}
	*f = shareFlag(share)
	return nil
}

// Type implements [pflag.Value].
func (*shareFlag) Type() string { return "share" }

func newStartKill(t *trial) *cobra.Command {
	every := 30 * time.Second
	c := t.flags(&cobra.Command{
		Use: "kill service", Short: "Kill an instance again and again",
		Args: takes(1, 1, "one service"), ValidArgsFunction: t.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			f := &observev1.KillFault{Service: args[0], Every: durationpb.New(every)}
			return t.start(cmd, &observev1.Fault{Kind: &observev1.Fault_Kill{Kill: f}})
		},
	})
	c.Flags().Var((*spanFlag)(&every), "every", "how often")
	return c
}

func newStartPartition(t *trial) *cobra.Command {
	return t.flags(&cobra.Command{
		Use: "partition from to", Short: "Lose the calls of one service to another",
		Args: takes(2, 2, "two services: who calls, and who is called"), ValidArgsFunction: t.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			f := &observev1.PartitionFault{From: args[0], To: args[1]}
			return t.start(cmd, &observev1.Fault{Kind: &observev1.Fault_Partition{Partition: f}})
		},
	})
}

// start begins one experiment that was named on the command line.
func (t *trial) start(cmd *cobra.Command, f *observev1.Fault) error {
	if strings.TrimSpace(t.reason) == "" {
		return errNoReason
	}
	req := &observev1.ExperimentServiceStartRequest{Name: t.name, Fault: f, Reason: t.reason}
	if cmd.Flags().Changed("for") {
		req.Duration = durationpb.New(t.duration)
	}
	return t.withExperiments(func(c observev1.ExperimentServiceClient) error {
		started, err := t.begin(cmd, c, req)
		if err != nil || t.json {
			return err
		}
		return note(cmd, "%s runs; end it before with: warren experiment stop %s --reason 'why'", started[0].GetName(), started[0].GetName())
	})
}

// begin shows what experiments would hit, asks, and starts them: all, or none.
func (t *trial) begin(
	cmd *cobra.Command, c observev1.ExperimentServiceClient, reqs ...*observev1.ExperimentServiceStartRequest,
) ([]*observev1.Experiment, error) {
	for _, req := range reqs {
		req.Author, req.DryRun = author(), true
		planned, err := c.Start(cmd.Context(), req)
		if err != nil {
			return nil, err
		}
		if !t.json {
			printRadius(cmd.OutOrStdout(), planned.GetExperiment())
		}
	}
	if err := t.confirm(cmd); err != nil {
		return nil, err
	}
	var started []*observev1.Experiment
	for _, req := range reqs {
		req.DryRun = false
		resp, err := c.Start(cmd.Context(), req)
		if err == nil {
			started = append(started, resp.GetExperiment())
		}
		if err == nil && t.json {
			err = printJSON(cmd.OutOrStdout(), resp)
		}
		if err != nil {
			return nil, errors.Join(err, stopAll(cmd, c, started, "one that begins with it could not"))
		}
	}
	return started, nil
}

func (t *trial) confirm(cmd *cobra.Command) error {
	if t.yes {
		return nil
	}
	if t.json {
		return errors.New("add --yes to start with --json: nobody is asked")
	}
	fmt.Fprint(cmd.OutOrStdout(), "start? [y/N] ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("ask: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(answer)); word == "y" || word == "yes" {
		return nil
	}
	return errors.New("not started; --yes starts without asking")
}

func printRadius(w io.Writer, e *observev1.Experiment) {
	r := e.GetRadius()
	fmt.Fprintf(w, "%s: %s, for %s\n", e.GetName(), experiment.Describe(e.GetFault()), e.GetEnds().AsTime().Sub(e.GetStarted().AsTime()))
	for _, line := range []struct {
		what string
		list []string
	}{{"services", r.GetServices()}, {"instances", r.GetInstances()}, {"callers", r.GetCallers()}, {"methods", r.GetMethods()}} {
		const few = 8
		text := strings.Join(line.list, ", ")
		if len(line.list) > few {
			text = fmt.Sprintf("%s and %d more", strings.Join(line.list[:few], ", "), len(line.list)-few)
		}
		fmt.Fprintf(w, "  %-10s %s\n", line.what, orDash(text))
	}
	for _, warning := range r.GetWarnings() {
		fmt.Fprintf(w, "  %-10s %s\n", "note", warning)
	}
}

func newExperimentList(o *options) *cobra.Command {
	var ended bool
	c := &cobra.Command{
		Use: "list", Short: "List the experiments that run", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withExperiments(func(c observev1.ExperimentServiceClient) error {
				resp, err := c.List(cmd.Context(), &observev1.ExperimentServiceListRequest{Ended: ended})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				return printExperiments(cmd.OutOrStdout(), resp.GetExperiments(), ended)
			})
		},
	}
	c.Flags().BoolVar(&ended, "ended", false, "also those that are over")
	return c
}

// printExperiments lists them; with those that are over also who stopped them, and why.
func printExperiments(w io.Writer, all []*observev1.Experiment, ended bool) error {
	columns := []string{"NAME", "STATE", "FAULT", "ENDS", "AUTHOR", "REASON"}
	if ended {
		columns = append(columns, "STOPPED BY", "WHY")
	}
	t := newTable(w, columns...)
	for _, e := range all {
		state := strings.ToLower(strings.TrimPrefix(e.GetState().String(), "STATE_"))
		row := []string{
			e.GetName(), state, experiment.Describe(e.GetFault()), e.GetEnds().AsTime().Local().Format(time.DateTime),
			orDash(e.GetAuthor()), orDash(oneLine(e.GetReason())),
		}
		if ended {
			row = append(row, orDash(e.GetStoppedBy()), orDash(oneLine(e.GetStopReason())))
		}
		t.row(row...)
	}
	return t.flush()
}

func newExperimentStop(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "stop name", Short: "End an experiment at once", Args: takes(1, 1, "the name of an experiment; warren experiment list has them"),
		Example:           "  warren experiment stop latency-payment --reason 'seen enough'",
		ValidArgsFunction: o.completeExperiments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errNoReason
			}
			return o.withExperiments(func(c observev1.ExperimentServiceClient) error {
				resp, err := c.Stop(cmd.Context(), &observev1.ExperimentServiceStopRequest{Name: args[0], Author: author(), Reason: reason})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				return note(cmd, "%s is over", args[0])
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	return c
}

func (o *options) completeExperiments(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	_ = o.withExperiments(func(client observev1.ExperimentServiceClient) error {
		resp, err := client.List(c.Context(), &observev1.ExperimentServiceListRequest{})
		for _, e := range resp.GetExperiments() {
			words = append(words, e.GetName())
		}
		return err
	})
	if len(args) > 0 {
		words = nil
	}
	return completing(words, args), cobra.ShellCompDirectiveNoFileComp
}
