package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// breaker is one that is not closed, as a service counts it: of one method of
// whom it calls, at so many instances.
type breaker struct {
	From      string  `json:"from"`
	To        string  `json:"to"`
	Method    string  `json:"method"`
	State     string  `json:"state"`
	Instances float64 `json:"instances"`
}

// printTopology prints who calls whom. Without metrics nothing is said of
// breakers, which is told apart from none.
func (o *options) printTopology(cmd *cobra.Command, resp *observev1.TopologyResponse, unhealthy bool) error {
	var open []breaker
	unknown := o.withObserve(func(conn grpc.ClientConnInterface) (err error) {
		open, err = breakers(cmd.Context(), conn)
		return err
	})
	if unhealthy {
		resp.Edges = slices.DeleteFunc(resp.GetEdges(), func(e *observev1.TopologyEdge) bool { return e.GetErrors() == 0 && between(open, e) == nil })
	}
	if o.json {
		return printTopologyJSON(cmd, resp, open, unknown)
	}
	if unknown != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "the breakers can't be told: %s\n", message(unknown))
	}
	t := newTable(cmd.OutOrStdout(), "FROM", "TO", "CALLS", "PER SECOND", "ERRORS", "P50", "P95", "BREAKERS", "VERSIONS")
	for _, e := range resp.GetEdges() {
		var states, versions []string
		for _, b := range between(open, e) {
			states = append(states, fmt.Sprintf("%s %s %.0f", b.Method, b.State, b.Instances))
		}
		for _, v := range e.GetVersions() {
			versions = append(versions, fmt.Sprintf("%s %d", v.GetVersion(), v.GetCalls()))
		}
		t.row(e.GetFrom(), e.GetTo(), strconv.FormatInt(e.GetCalls(), 10), fmt.Sprintf("%.2f", e.GetCallsPerSecond()),
			strconv.FormatInt(e.GetErrors(), 10), brevity(e.GetP50()), brevity(e.GetP95()),
			orDash(strings.Join(states, ", ")), orDash(strings.Join(versions, ", ")))
	}
	return t.flush()
}

// printTopologyJSON adds the breakers to what the contract says; null: they are
// not known.
func printTopologyJSON(cmd *cobra.Command, resp *observev1.TopologyResponse, open []breaker, unknown error) error {
	text, err := protojson.MarshalOptions{EmitUnpopulated: true, UseProtoNames: true}.Marshal(resp)
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	if open == nil && unknown == nil {
		open = []breaker{}
	}
	all["breakers"] = open
	return printJSON(cmd.OutOrStdout(), all)
}

// breakers asks callers for their breakers that are not closed. They know methods,
// not who serves them: that is asked of the contracts.
func breakers(ctx context.Context, conn grpc.ClientConnInterface) ([]breaker, error) {
	found, err := observev1.NewMetricServiceClient(conn).Query(ctx, &observev1.QueryRequest{
		Query: "sum by (service, rpc_method, state) (warren_rpc_breaker_state) > 0",
	})
	if err != nil || len(found.GetSamples()) == 0 {
		return nil, err
	}
	list, err := contractsv1.NewContractServiceClient(conn).List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	var out []breaker
	for _, s := range found.GetSamples() {
		l := s.GetLabels()
		contract, method, _ := strings.Cut(strings.TrimPrefix(l["rpc_method"], "/"), "/")
		for _, c := range list.GetContracts() {
			if c.GetName() != contract {
				continue
			}
			for _, to := range c.GetServices() {
				out = append(out, breaker{From: l["service"], To: to, Method: method, State: l["state"], Instances: s.GetValue()})
			}
		}
	}
	return out, nil
}

// between are the breakers on an edge.
func between(all []breaker, e *observev1.TopologyEdge) []breaker {
	var out []breaker
	for _, b := range all {
		if e.GetFrom() == "service:"+b.From && e.GetTo() == "service:"+b.To {
			out = append(out, b)
		}
	}
	return out
}
