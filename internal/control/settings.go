package control

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/config"
)

// settings answer for the configuration centre.
type settings struct {
	settingsv1.UnimplementedSettingsServiceServer
	environment string
	centre      *config.Centre
	file        config.FileLayer
	instances   func() ([]*fleetv1.Instance, error) // nil: nobody knows
}

func (s *settings) List(ctx context.Context, _ *settingsv1.ListRequest) (*settingsv1.ListResponse, error) {
	definitions, err := s.centre.Definitions(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	revision, entries, err := s.centre.Get(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	values := map[string][]*settingsv1.Value{}
	for _, e := range entries {
		values[e.Name] = append(values[e.Name], &settingsv1.Value{Scope: e.Scope.String(), Value: e.Value, Layer: "centre"})
	}
	secret := map[string]bool{}
	for _, d := range definitions {
		secret[d.Name] = d.Secret
	}
	for _, e := range s.file.Entries {
		value := e.Value
		if known, ok := secret[e.Name]; known || !ok { // what nobody defines may be a secret, too
			value = "[redacted]"
		}
		values[e.Name] = append(values[e.Name], &settingsv1.Value{Scope: e.Scope.String(), Value: value, Layer: "file", Position: e.Position})
	}
	out := &settingsv1.ListResponse{Environment: s.environment, Revision: revision}
	for _, d := range definitions {
		out.Settings = append(out.Settings, settingToProto(d, values[d.Name]))
		delete(values, d.Name)
	}
	for name, v := range values { // set for a service that is not there any more, or not yet
		out.Settings = append(out.Settings, &settingsv1.Setting{Name: name, Values: v})
	}
	slices.SortFunc(out.GetSettings(), func(a, b *settingsv1.Setting) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}

func settingToProto(d config.Definition, values []*settingsv1.Value) *settingsv1.Setting {
	return &settingsv1.Setting{
		Name: d.Name, Type: d.Type, Default: d.Default, Doc: d.Doc, Min: d.Min, Max: d.Max, OneOf: d.OneOf, Secret: d.Secret, Values: values,
	}
}

func (s *settings) History(ctx context.Context, req *settingsv1.HistoryRequest) (*settingsv1.HistoryResponse, error) {
	changes, err := s.centre.History(ctx, int(req.GetLimit()))
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	out := &settingsv1.HistoryResponse{}
	for _, c := range changes {
		out.Changes = append(out.Changes, changeToProto(c))
	}
	return out, nil
}

func (s *settings) Diff(ctx context.Context, req *settingsv1.DiffRequest) (*settingsv1.DiffResponse, error) {
	edits, err := s.centre.Diff(ctx, req.GetFrom(), req.GetTo())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &settingsv1.DiffResponse{Edits: editsToProto(edits)}, nil
}

func (s *settings) Set(ctx context.Context, req *settingsv1.SetRequest) (*settingsv1.Change, error) {
	var edits []config.Edit
	for _, e := range req.GetEdits() {
		scope, err := config.ParseScope(e.GetScope())
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		edits = append(edits, config.Edit{Name: e.GetName(), Scope: scope, New: e.New})
	}
	change, err := s.centre.Set(ctx, edits, req.GetAuthor(), req.GetReason())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return changeToProto(change), nil
}

func (s *settings) Rollback(ctx context.Context, req *settingsv1.RollbackRequest) (*settingsv1.Change, error) {
	change, err := s.centre.Rollback(ctx, req.GetRevision(), req.GetAuthor(), req.GetReason())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return changeToProto(change), nil
}

func changeToProto(c config.Change) *settingsv1.Change {
	out := &settingsv1.Change{Revision: c.Revision, Author: c.Author, Reason: c.Reason, Edits: editsToProto(c.Edits)}
	if !c.Time.IsZero() {
		out.Time = timestamppb.New(c.Time)
	}
	return out
}

func editsToProto(edits []config.Edit) []*settingsv1.Edit {
	var out []*settingsv1.Edit
	for _, e := range edits {
		out = append(out, &settingsv1.Edit{Name: e.Name, Scope: e.Scope.String(), Old: e.Old, New: e.New})
	}
	return out
}
