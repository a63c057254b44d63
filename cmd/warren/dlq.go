package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
)

// withLetters calls f with a client of the running system's dead letters, and the
// services that may have some.
func (o *options) withLetters(ctx context.Context, f func(ctx context.Context, services []string, c eventsv1.LetterServiceClient) error) error {
	return o.withContract(ctx, eventsv1.LetterService_ServiceDesc.ServiceName, func(ctx context.Context, services []string, c grpc.ClientConnInterface) error {
		return f(ctx, services, eventsv1.NewLetterServiceClient(c))
	})
}

// ofService calls f for the letters of one service.
func (o *options) ofService(ctx context.Context, service string, f func(ctx context.Context, c eventsv1.LetterServiceClient) error) error {
	return o.withLetters(ctx, func(ctx context.Context, services []string, c eventsv1.LetterServiceClient) error {
		if !slices.Contains(services, service) {
			return fmt.Errorf("no service %q with events runs; there are: %s", service, orDash(strings.Join(services, ", ")))
		}
		return f(toService(ctx, service), c)
	})
}

func newLetters(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "dlq", Short: "Look after dead letters: events that a service gave up"},
		newLettersList(o), newLettersShow(o), newLettersEdit(o),
		newLettersSettle(o, "replay", "Have letters handled again by the group that gave them up",
			func(ctx context.Context, c eventsv1.LetterServiceClient, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error) {
				resp, err := c.Replay(ctx, &eventsv1.ReplayRequest{Filter: f, By: by, DryRun: dry})
				return resp.GetCount(), err
			}),
		newLettersSettle(o, "drop", "Settle letters for good: nothing more happens to them",
			func(ctx context.Context, c eventsv1.LetterServiceClient, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error) {
				resp, err := c.Drop(ctx, &eventsv1.DropRequest{Filter: f, By: by, DryRun: dry})
				return resp.GetCount(), err
			}))
}

// letterFilter adds the flags that choose letters.
func letterFilter(c *cobra.Command) func() *eventsv1.Filter {
	f := &eventsv1.Filter{}
	var older time.Duration
	flags := c.Flags()
	flags.StringVar(&f.Topic, "topic", "", "only events of this type, such as shop.order.v1.OrderPlaced")
	flags.StringVar(&f.Key, "key", "", "only events with this key")
	flags.StringVar(&f.Group, "group", "", "only those that this group gave up")
	flags.StringVar(&f.Reason, "because", "", "only those whose last error contains this")
	flags.DurationVar(&older, "older", 0, "only those that died longer ago, such as 1h")
	return func() *eventsv1.Filter {
		if older > 0 {
			f.Before = timestamppb.New(time.Now().Add(-older))
		}
		return f
	}
}

func newLettersList(o *options) *cobra.Command {
	request := &eventsv1.ListRequest{}
	var filter func() *eventsv1.Filter
	var state string
	c := &cobra.Command{
		Use:   "list [service]",
		Short: "List dead letters, the last to die first",
		Args:  takes(0, 1, "at most one service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Filter = filter()
			request.Filter.State = state
			return o.withLetters(cmd.Context(), func(ctx context.Context, services []string, c eventsv1.LetterServiceClient) error {
				if len(args) > 0 {
					if !slices.Contains(services, args[0]) {
						return fmt.Errorf("no service %q with events runs; there are: %s", args[0], orDash(strings.Join(services, ", ")))
					}
					services = args
				}
				all := map[string]*eventsv1.ListResponse{}
				for _, service := range services {
					found, err := c.List(toService(ctx, service), request)
					if err != nil {
						return fmt.Errorf("%s: %w", service, describe(err))
					}
					all[service] = found
				}
				if o.json {
					byService, err := jsonOf(all)
					if err != nil {
						return err
					}
					return printJSON(cmd.OutOrStdout(), byService)
				}
				return printLetters(cmd.OutOrStdout(), services, all)
			})
		},
	}
	filter = letterFilter(c)
	c.Flags().StringVar(&state, "state", "dead", "dead, replayed or dropped")
	c.Flags().Int32Var(&request.PageSize, "limit", 50, "how many of each service at most, up to 1000")
	c.Flags().Int32Var(&request.Offset, "offset", 0, "how many of each service to leave out")
	return c
}

func printLetters(w io.Writer, services []string, all map[string]*eventsv1.ListResponse) error {
	t := newTable(w, "SERVICE", "LETTER", "EVENT", "KEY", "GROUP", "ATTEMPTS", "AGE", "WHY")
	for _, service := range services {
		for _, l := range all[service].GetLetters() {
			t.row(service, l.GetLetter(), l.GetTopic(), orDash(l.GetKey()), orDash(l.GetGroup()), strconv.Itoa(int(l.GetAttempts())),
				ageOf(l.GetDeathTime()), oneLine(l.GetReason()))
		}
	}
	return t.flush()
}

func newLettersShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show service letter",
		Short: "Print a letter: its event, why it was given up, and what was done with it",
		Args:  takes(2, 2, "a service and one of its letters; warren dlq list lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.ofService(cmd.Context(), args[0], func(ctx context.Context, c eventsv1.LetterServiceClient) error {
				l, err := c.Show(ctx, &eventsv1.ShowRequest{Letter: args[1]})
				if err != nil {
					return err
				}
				return o.printLetter(cmd.OutOrStdout(), l)
			})
		},
	}
}

func (o *options) printLetter(w io.Writer, l *eventsv1.Letter) error {
	if o.json {
		return printJSON(w, l)
	}
	who := "the broker refused it"
	if l.GetGroup() != "" {
		who = fmt.Sprintf("%s gave it up after %d attempts, in %s", l.GetGroup(), l.GetAttempts(), l.GetHandler())
	}
	event := l.GetJson()
	if event == "" {
		event = l.GetUnreadable()
	}
	lines := []string{
		fmt.Sprintf("%s is %s: %s, key %s, published %s ago", l.GetLetter(), l.GetState(), l.GetTopic(), orDash(l.GetKey()), ageOf(l.GetPublishTime())),
		who + ":", "  " + strings.ReplaceAll(plain(l.GetReason()), "\n", "\n  "), "", event,
	}
	for _, a := range l.GetActions() {
		lines = append(lines, fmt.Sprintf("%s: %s by %s: %s", a.GetTime().AsTime().Format(time.RFC3339), a.GetName(), a.GetAuthor(), a.GetReason()))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

func newLettersEdit(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "edit service letter '<json>' | -",
		Short: "Replace the event of a letter, before it is replayed",
		Long: "Replace the event of a letter, before it is replayed.\n\nThe JSON is the whole event, as warren dlq show prints it; " +
			"what reads \"[secret]\" stays as it is.",
		Args: takes(3, 3, "a service, one of its letters, and the event in JSON, or - to read it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errNoReason
			}
			text, err := requestBody(cmd, args[2:])
			if err != nil {
				return err
			}
			return o.ofService(cmd.Context(), args[0], func(ctx context.Context, c eventsv1.LetterServiceClient) error {
				l, err := c.Edit(ctx, &eventsv1.EditRequest{
					Letter: args[1], Json: text, By: &eventsv1.By{Author: author(), Reason: reason},
				})
				if err != nil {
					return err
				}
				return o.printLetter(cmd.OutOrStdout(), l)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	return c
}

func newLettersSettle(o *options, name, short string,
	do func(ctx context.Context, c eventsv1.LetterServiceClient, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error),
) *cobra.Command {
	var reason string
	var all, dry bool
	var filter func() *eventsv1.Filter
	c := &cobra.Command{
		Use:     name + " service [letter]",
		Short:   short,
		Example: "  warren dlq " + name + " order 4QZ… --reason 'the address is right now'\n  warren dlq " + name + " order --because timeout --dry-run",
		Args:    takes(1, 2, "a service, and one of its letters, flags that choose some, or --all"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := filter()
			if len(args) == 2 {
				f.Letter = args[1]
			}
			chosen := f.GetLetter()+f.GetTopic()+f.GetKey()+f.GetGroup()+f.GetReason() != "" || f.GetBefore() != nil
			switch {
			case chosen == all:
				return fmt.Errorf("%s: name a letter, choose some by flags, or give --all", name)
			case dry && reason == "":
				reason = "only to see how many there are"
			case strings.TrimSpace(reason) == "":
				return errNoReason
			}
			return o.ofService(cmd.Context(), args[0], func(ctx context.Context, c eventsv1.LetterServiceClient) error {
				n, err := do(ctx, c, f, &eventsv1.By{Author: author(), Reason: reason}, dry)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"count": n, "dry_run": dry})
				}
				if dry {
					return note(cmd, "%s would %s %s", args[0], name, counted(int(n), "letter"))
				}
				return note(cmd, "%s: %s", name, counted(int(n), "letter"))
			})
		},
	}
	filter = letterFilter(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	c.Flags().BoolVar(&all, "all", false, "all that are dead")
	c.Flags().BoolVar(&dry, "dry-run", false, "only tell how many there are")
	return c
}
