package experiment

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// radius tells what a fault can hit, and refuses one that would hit nothing.
func (r *Runner) radius(ctx context.Context, f *observev1.Fault) (*observev1.BlastRadius, error) {
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		return r.served(ctx, "service", f.Latency.GetService(), f.Latency.GetMethod())
	case *observev1.Fault_Error:
		return r.served(ctx, "service", f.Error.GetService(), f.Error.GetMethod())
	case *observev1.Fault_Kill:
		return r.killed(ctx, f.Kill.GetService())
	case *observev1.Fault_Partition:
		return r.parted(ctx, f.Partition.GetFrom(), f.Partition.GetTo())
	}
	return nil, status.Error(codes.InvalidArgument, "fault: want one of latency, error, kill and partition")
}

// served is what can be hit at a service, which the field names.
func (r *Runner) served(ctx context.Context, field, service, method string) (*observev1.BlastRadius, error) {
	instances, err := r.instances(ctx, field, service)
	if err != nil {
		return nil, err
	}
	methods, err := r.methods(ctx, service)
	if err != nil {
		return nil, err
	}
	if len(methods) == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %s serves no contract, so that no call to it can be hit; want another service", field, service)
	}
	if method = strings.TrimPrefix(method, "/"); method != "" {
		if !slices.Contains(methods, method) {
			return nil, status.Errorf(codes.NotFound, "method: %s has no method %s; it has %s", service, method, strings.Join(methods, ", "))
		}
		methods = []string{method}
	}
	return &observev1.BlastRadius{
		Services: []string{service}, Methods: methods, Instances: names(instances), Callers: r.callers(ctx, service),
	}, nil
}

func (r *Runner) killed(ctx context.Context, service string) (*observev1.BlastRadius, error) {
	instances, err := r.instances(ctx, "service", service)
	if err != nil {
		return nil, err
	}
	methods, err := r.methods(ctx, service)
	if err != nil {
		return nil, err
	}
	out := &observev1.BlastRadius{
		Services: []string{service}, Methods: methods, Instances: names(instances), Callers: r.callers(ctx, service),
	}
	if len(instances) == 1 {
		out.Warnings = append(out.Warnings, service+" has one instance: until it is back, nobody serves it")
	}
	return out, nil
}

func (r *Runner) parted(ctx context.Context, from, to string) (*observev1.BlastRadius, error) {
	callers, err := r.instances(ctx, "from", from)
	if err != nil {
		return nil, err
	}
	out, err := r.served(ctx, "to", to, "")
	if err != nil {
		return nil, err
	}
	if len(out.GetCallers()) > 0 && !slices.Contains(out.GetCallers(), from) {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s was not seen to call %s in the last hour", from, to))
	}
	out.Services, out.Callers = []string{from, to}, []string{from}
	out.Instances = names(callers) // it is they who lose their calls
	return out, nil
}

// instances are those of a service, which the field names; there must be one.
func (r *Runner) instances(ctx context.Context, field, service string) ([]*fleetv1.Instance, error) {
	resp, err := fleetv1.NewFleetServiceClient(r.opts.API).List(ctx, &fleetv1.ListRequest{Services: []string{service}})
	if err != nil {
		return nil, status.Errorf(status.Code(err), "%s: %s", field, status.Convert(err).Message())
	}
	if len(resp.GetInstances()) == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %s has no instance; warren scale %s=1 starts one", field, service, service)
	}
	return resp.GetInstances(), nil
}

func names(instances []*fleetv1.Instance) []string {
	var out []string
	for _, i := range instances {
		out = append(out, i.GetId())
	}
	return out
}

// methods are those of all contracts that a service serves.
func (r *Runner) methods(ctx context.Context, service string) ([]string, error) {
	client := contractsv1.NewContractServiceClient(r.opts.API)
	list, err := client.List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range list.GetContracts() {
		if !slices.Contains(c.GetServices(), service) {
			continue
		}
		described, err := client.Describe(ctx, &contractsv1.DescribeRequest{Contract: c.GetName()})
		if err != nil {
			return nil, err
		}
		for _, m := range described.GetMethods() {
			out = append(out, c.GetName()+"/"+m.GetName())
		}
	}
	return out, nil
}

// callers are the services that traces have shown to call a service; none
// where no traces are kept.
func (r *Runner) callers(ctx context.Context, service string) []string {
	resp, err := observev1.NewTraceServiceClient(r.opts.API).Topology(ctx, &observev1.TopologyRequest{Services: []string{service}})
	if err != nil {
		return nil
	}
	const node = "service:" // how the topology calls services, beside databases and topics
	var out []string
	for _, e := range resp.GetEdges() {
		if from, ok := strings.CutPrefix(e.GetFrom(), node); ok && e.GetTo() == node+service && !slices.Contains(out, from) {
			out = append(out, from)
		}
	}
	slices.Sort(out)
	return out
}

// kill kills one instance of the experiment's service that is ready.
func (r *Runner) kill(ctx context.Context, e *observev1.Experiment) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	instances, err := r.instances(ctx, "service", e.GetFault().GetKill().GetService())
	instances = slices.DeleteFunc(instances, func(i *fleetv1.Instance) bool { return i.GetState() != fleetv1.State_STATE_READY })
	if err != nil || len(instances) == 0 {
		return // nobody is there: the next time somebody may be
	}
	id := instances[rand.N(len(instances))].GetId()
	if _, err := fleetv1.NewFleetServiceClient(r.opts.API).Kill(ctx, &fleetv1.KillRequest{
		Instance: id, Author: e.GetAuthor(), Reason: "experiment " + e.GetName() + ": " + e.GetReason(),
	}); err != nil {
		r.opts.Log.Warn("instance not killed", "experiment", e.GetName(), "instance", id, "error", err)
		return
	}
	r.opts.Log.Warn("experiment killed an instance", "experiment", e.GetName(), "instance", id)
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Kills++
	r.save()
}
