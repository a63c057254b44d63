package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/docs"
)

// shownAlert is one alert with all that is known of it.
type shownAlert struct {
	name   string
	todo   string
	page   string
	rules  []*observev1.Rule
	alerts []*observev1.Alert
}

func newAlertsShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show <alert>", Short: "Show what an alert asks for, what it finds, and what to do",
		Args: takes(1, 1, "the name of an alert; warren alerts rules lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withAlerts(func(c observev1.AlertServiceClient) error {
				rules, err := c.ListRules(cmd.Context(), &observev1.ListRulesRequest{})
				if err != nil {
					return err
				}
				alerts, err := c.ListAlerts(cmd.Context(), &observev1.ListAlertsRequest{})
				if err != nil {
					return err
				}
				one := shownAlert{name: args[0], todo: docs.Runbook(args[0])}
				one.rules = slices.DeleteFunc(rules.GetRules(), func(r *observev1.Rule) bool { return r.GetRecording() || r.GetName() != one.name })
				one.alerts = slices.DeleteFunc(alerts.GetAlerts(), func(a *observev1.Alert) bool { return a.GetName() != one.name })
				if len(one.rules) == 0 {
					return fmt.Errorf("no alert is called %s; warren alerts rules lists them", one.name)
				}
				if page := one.rules[0].GetAnnotations()["runbook_url"]; one.todo == "" || !strings.HasPrefix(page, "docs/") {
					one.page = page
				}
				if o.json {
					return one.json(cmd.OutOrStdout())
				}
				return one.print(cmd.OutOrStdout())
			})
		},
	}
}

func (a shownAlert) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, of %s, severity %s\n\n", a.name, a.rules[0].GetSource(), cmp.Or(a.rules[0].GetSeverity(), "none"))
	if a.todo != "" {
		fmt.Fprintf(w, "%s\n\n", strings.NewReplacer("`", "", "*", "").Replace(a.todo))
	}
	if a.page != "" {
		fmt.Fprintf(w, "what to do stands in %s\n\n", plain(a.page))
	}
	for _, r := range a.rules {
		fmt.Fprintf(w, "rule: %s", r.GetExpression())
		if d := r.GetFor().AsDuration(); d > 0 {
			fmt.Fprintf(w, ", for %s", d)
		}
		fmt.Fprintln(w)
	}
	t := newTable(w, "STATE", "SINCE", "VALUE", "SUMMARY")
	for _, one := range a.alerts {
		t.row(stateWord(one.GetState()), age(one.GetSince().AsTime()), fmt.Sprintf("%.4g", one.GetValue()), orDash(oneLine(one.GetAnnotations()["summary"])))
	}
	return t.flush()
}

// json is the alert for programs.
func (a shownAlert) json(w io.Writer) error {
	rules, err := jsonList(a.rules)
	if err != nil {
		return err
	}
	alerts, err := jsonList(a.alerts)
	if err != nil {
		return err
	}
	return printJSON(w, map[string]any{"name": a.name, "todo": a.todo, "page": a.page, "rules": rules, "alerts": alerts})
}

// jsonList writes messages as printJSON writes one.
func jsonList[T proto.Message](all []T) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, 0, len(all))
	for _, m := range all {
		text, err := protojson.MarshalOptions{EmitUnpopulated: true, UseProtoNames: true}.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("print JSON: %w", err)
		}
		out = append(out, text)
	}
	return out, nil
}
