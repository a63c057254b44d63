package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/alerting"
)

func (o *options) withAlerts(f func(observev1.AlertServiceClient) error) error {
	return o.withObserve(func(c grpc.ClientConnInterface) error { return f(observev1.NewAlertServiceClient(c)) })
}

func newAlerts(o *options) *cobra.Command {
	list := newAlertsList(o)
	group := newGroup(&cobra.Command{Use: "alerts", Short: "What is wrong, by rules and objectives; and who was told"},
		list, newAlertsShow(o), newAlertsRules(o), newAlertsSLOs(o), newAlertsSilence(o),
		newAlertsUnsilence(o), newAlertsSilences(o), newAlertsHistory(o), newAlertsDeliveries(o))
	group.RunE = func(cmd *cobra.Command, _ []string) error { return list.RunE(cmd, nil) } // what one looks at first
	return group
}

// answer asks the alerts' service and prints what it says.
func answer[T proto.Message](
	o *options, cmd *cobra.Command, ask func(observev1.AlertServiceClient) (T, error), show func(io.Writer, T) error,
) error {
	return o.withAlerts(func(c observev1.AlertServiceClient) error {
		resp, err := ask(c)
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		return show(cmd.OutOrStdout(), resp)
	})
}

func newAlertsList(o *options) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list [service...]", Short: "List what fires or is about to",
		ValidArgsFunction: o.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.ListAlertsResponse, error) {
				return c.ListAlerts(cmd.Context(), &observev1.ListAlertsRequest{Inactive: all, Services: args})
			}, printAlerts)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also what does not fire")
	return c
}

func printAlerts(w io.Writer, resp *observev1.ListAlertsResponse) error {
	t := newTable(w, "ALERT", "STATE", "SEVERITY", "SINCE", "SUMMARY")
	for _, a := range resp.GetAlerts() {
		state := stateWord(a.GetState())
		if a.GetSilence() != "" {
			state += " (silenced)"
		}
		t.row(a.GetName(), state, orDash(a.GetSeverity()), age(a.GetSince().AsTime()), orDash(oneLine(a.GetAnnotations()["summary"])))
	}
	return t.flush()
}

func stateWord(s observev1.Alert_State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "STATE_"))
}

func newAlertsRules(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "rules", Short: "List the rules in force", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.ListRulesResponse, error) {
				return c.ListRules(cmd.Context(), &observev1.ListRulesRequest{})
			}, func(w io.Writer, resp *observev1.ListRulesResponse) error {
				t := newTable(w, "GROUP", "RULE", "STATE", "SEVERITY", "FOR", "SOURCE", "ERROR")
				for _, r := range resp.GetRules() {
					state := "recording"
					if !r.GetRecording() {
						state = stateWord(r.GetState())
					}
					t.row(r.GetGroup(), r.GetName(), state, orDash(r.GetSeverity()),
						r.GetFor().AsDuration().String(), r.GetSource(), orDash(oneLine(r.GetError())))
				}
				return t.flush()
			})
		},
	}
}

func newAlertsSLOs(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "slos", Short: "List the objectives and what is left of their error budgets", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.ListSLOsResponse, error) {
				return c.ListSLOs(cmd.Context(), &observev1.ListSLOsRequest{})
			}, func(w io.Writer, resp *observev1.ListSLOsResponse) error {
				t := newTable(w, "OBJECTIVE", "STATE", "WANTED", "NOW", "BUDGET LEFT", "PERIOD", "BURN")
				for _, s := range resp.GetSlos() {
					var burns []string
					for _, b := range s.GetBurns() {
						if b.Rate != nil {
							burns = append(burns, fmt.Sprintf("%s %.3g×", b.GetWindow().AsDuration(), b.GetRate()))
						}
					}
					t.row(s.GetName(), stateWord(s.GetState()), percent(&s.Objective), percent(s.Current), percent(s.BudgetLeft),
						s.GetPeriod().AsDuration().String(), orDash(strings.Join(burns, ", ")))
				}
				return t.flush()
			})
		},
	}
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	const hundred = 100
	return fmt.Sprintf("%.4g %%", *share*hundred)
}

func newAlertsSilence(o *options) *cobra.Command {
	var reason string
	var duration time.Duration
	c := &cobra.Command{
		Use: "silence <label=value>...", Short: "Keep alerts from being delivered for a time",
		Example: `  warren alerts silence alertname=HighLatency service=order --for 2h --reason "load test"`,
		Args:    takes(1, many, "labels such as alertname=HighLatency"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &observev1.SilenceRequest{Duration: durationpb.New(duration), Reason: reason, Author: author()}
			for _, text := range args {
				m, err := alerting.ParseMatcher(text)
				if err != nil {
					return err
				}
				req.Matchers = append(req.Matchers, &observev1.Matcher{Label: m.Label, Value: m.Value, Regex: m.Regex, Negative: m.Negative})
			}
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.SilenceResponse, error) {
				return c.Silence(cmd.Context(), req)
			}, func(w io.Writer, resp *observev1.SilenceResponse) error {
				s := resp.GetSilence()
				_, err := fmt.Fprintf(w, "silenced until %s; end it before with: warren alerts unsilence %s\n",
					s.GetEnds().AsTime().Local().Format(time.DateTime), s.GetId())
				return err
			})
		},
	}
	c.Flags().DurationVar(&duration, "for", time.Hour, "how long")
	c.Flags().StringVar(&reason, "reason", "", "why")
	_ = c.MarkFlagRequired("reason") // it is there
	return c
}

func newAlertsUnsilence(o *options) *cobra.Command {
	var reason string
	return why(&cobra.Command{
		Use: "unsilence <id>", Short: "End a silence", Args: takes(1, 1, "the id of a silence; warren alerts silences lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.UnsilenceResponse, error) {
				return c.Unsilence(cmd.Context(), &observev1.UnsilenceRequest{Id: args[0], Author: author(), Reason: reason})
			}, func(w io.Writer, _ *observev1.UnsilenceResponse) error {
				_, err := fmt.Fprintln(w, "ended")
				return err
			})
		},
	}, &reason)
}

func newAlertsSilences(o *options) *cobra.Command {
	var ended bool
	c := &cobra.Command{
		Use: "silences", Short: "List the silences", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.ListSilencesResponse, error) {
				return c.ListSilences(cmd.Context(), &observev1.ListSilencesRequest{Ended: ended})
			}, func(w io.Writer, resp *observev1.ListSilencesResponse) error {
				t := newTable(w, "ID", "ENDS", "AUTHOR", "REASON", "ALERTS")
				for _, s := range resp.GetSilences() {
					var matchers []string
					for _, m := range s.GetMatchers() {
						one := alerting.Matcher{Label: m.GetLabel(), Value: m.GetValue(), Regex: m.GetRegex(), Negative: m.GetNegative()}
						matchers = append(matchers, one.String())
					}
					t.row(s.GetId(), s.GetEnds().AsTime().Local().Format(time.DateTime),
						orDash(s.GetAuthor()), orDash(oneLine(s.GetReason())), strings.Join(matchers, " "))
				}
				return t.flush()
			})
		},
	}
	c.Flags().BoolVar(&ended, "ended", false, "also those that ended")
	return c
}

func newAlertsHistory(o *options) *cobra.Command {
	var since time.Duration
	var limit int32
	c := &cobra.Command{
		Use: "history [alert]", Short: "List when alerts fired and were resolved", Args: takes(0, 1, "at most one alert"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &observev1.HistoryRequest{Name: strings.Join(args, ""), Limit: limit}
			if since > 0 {
				req.Since = timestamppb.New(time.Now().Add(-since))
			}
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.HistoryResponse, error) {
				return c.History(cmd.Context(), req)
			}, func(w io.Writer, resp *observev1.HistoryResponse) error {
				t := newTable(w, "TIME", "ALERT", "WHAT", "SEVERITY", "SUMMARY")
				for _, change := range resp.GetChanges() {
					what := "fired"
					if change.GetResolved() {
						what = "resolved"
					}
					t.row(change.GetTime().AsTime().Local().Format(time.DateTime), change.GetName(), what,
						orDash(change.GetSeverity()), orDash(oneLine(change.GetAnnotations()["summary"])))
				}
				return t.flush()
			})
		},
	}
	c.Flags().DurationVar(&since, "since", 0, "how far back (default all that is kept)")
	c.Flags().Int32Var(&limit, "limit", 0, "how many at most (default 100)")
	return c
}

func newAlertsDeliveries(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "deliveries", Short: "List who was told, and how that went", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(o, cmd, func(c observev1.AlertServiceClient) (*observev1.DeliveriesResponse, error) {
				return c.Deliveries(cmd.Context(), &observev1.DeliveriesRequest{})
			}, func(w io.Writer, resp *observev1.DeliveriesResponse) error {
				t := newTable(w, "TIME", "RECEIVER", "KIND", "ATTEMPT", "ALERTS", "ERROR")
				for _, d := range resp.GetDeliveries() {
					t.row(d.GetTime().AsTime().Local().Format(time.DateTime), d.GetReceiver(), d.GetKind(), strconv.Itoa(int(d.GetAttempt())),
						strings.Join(d.GetAlerts(), " "), orDash(oneLine(d.GetError())))
				}
				return t.flush()
			})
		},
	}
}
