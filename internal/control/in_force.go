package control

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
)

// InForce joins what the layers say with who runs which revision of them.
func (s *settings) InForce(ctx context.Context, req *settingsv1.InForceRequest) (*settingsv1.InForceResponse, error) {
	instances, err := s.obeying(req.GetOf())
	if err != nil {
		return nil, err
	}
	list, err := s.List(ctx, &settingsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	history, err := s.History(ctx, &settingsv1.HistoryRequest{})
	if err != nil {
		return nil, err
	}
	out := &settingsv1.InForceResponse{Revision: list.GetRevision()}
	name := req.GetSetting()
	for _, one := range list.GetSettings() {
		if name != "" && one.GetName() != name && !strings.HasPrefix(one.GetName(), name+".") {
			continue
		}
		for _, i := range instances {
			out.Values = append(out.Values, &settingsv1.InForce{
				Setting: one.GetName(), Instance: i.GetId(), Service: i.GetService(), Revision: i.GetSettingsRevision(),
				State: strings.ToLower(strings.TrimPrefix(i.GetState().String(), "STATE_")),
				Value: resolved(one, i.GetService(), past(one.GetName(), history.GetChanges(), i.GetSettingsRevision())),
			})
		}
	}
	if name != "" && len(instances) > 0 && len(out.GetValues()) == 0 {
		return nil, status.Errorf(codes.NotFound, "no setting is called %s, and none begins so; warren config list has them", name)
	}
	return out, nil
}

// obeying are the instances of a name: one, those of a service, or all.
func (s *settings) obeying(of string) ([]*fleetv1.Instance, error) {
	if s.instances == nil {
		return nil, status.Error(codes.Unimplemented, "who runs is not known here")
	}
	all, err := s.instances()
	if err != nil {
		return nil, err
	}
	if of != "" {
		all = slices.DeleteFunc(all, func(i *fleetv1.Instance) bool { return i.GetId() != of && i.GetService() != of })
		if len(all) == 0 {
			return nil, status.Errorf(codes.NotFound, "no instance and no service %q runs; warren ps lists them", of)
		}
	}
	slices.SortStableFunc(all, func(a, b *fleetv1.Instance) int {
		return cmp.Or(strings.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetNumber(), b.GetNumber()))
	})
	return all, nil
}

// resolved is the value that a process of the service obeys: the centre's comes
// before the file's, and in each the narrower scope before the wider. edits are
// what the centre has changed since then.
func resolved(one *settingsv1.Setting, service string, edits []*settingsv1.Edit) *settingsv1.Value {
	for _, layer := range []string{"centre", "file"} {
		for _, scope := range []string{service, "all"} {
			undone := slices.IndexFunc(edits, func(e *settingsv1.Edit) bool { return layer == "centre" && e.GetScope() == scope })
			if undone >= 0 {
				if edits[undone].Old == nil {
					continue
				}
				return &settingsv1.Value{Value: edits[undone].GetOld(), Scope: scope, Layer: layer}
			}
			i := slices.IndexFunc(one.GetValues(), func(v *settingsv1.Value) bool { return v.GetLayer() == layer && v.GetScope() == scope })
			if i >= 0 {
				return one.GetValues()[i]
			}
		}
	}
	return &settingsv1.Value{Value: one.GetDefault(), Layer: "default"}
}

// past are the edits of a setting after a revision, the earliest of each scope
// first: what it replaced was in force then. Revision 0 is that of who has not
// said what it runs.
func past(name string, changes []*settingsv1.Change, revision int64) []*settingsv1.Edit {
	var out []*settingsv1.Edit
	for _, c := range slices.Backward(changes) {
		if c.GetRevision() <= revision || revision == 0 {
			continue
		}
		for _, e := range c.GetEdits() {
			if e.GetName() == name {
				out = append(out, e)
			}
		}
	}
	return out
}
