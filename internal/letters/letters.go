// Package letters serves a service's dead letters to those who look after them:
// what the command "warren dlq" asks for.
package letters

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
)

// command is the one caller who is believed about the author: it holds the
// system's key.
const command = "cli"

// pageSize is how many letters are counted at once.
const pageSize = 1000

// Server answers for the letters of one bus.
type Server struct {
	eventsv1.UnimplementedLetterServiceServer
	letters *events.Letters
}

// New returns a server of the letters.
func New(l *events.Letters) *Server { return &Server{letters: l} }

// List implements the contract.
func (s *Server) List(ctx context.Context, req *eventsv1.ListRequest) (*eventsv1.ListResponse, error) {
	if _, err := allowed(ctx, nil); err != nil {
		return nil, err
	}
	f := filter(req.GetFilter())
	f.Limit, f.Offset = int(req.GetPageSize()), int(req.GetOffset())
	list, err := s.letters.List(ctx, f)
	if err != nil {
		return nil, err
	}
	resp := &eventsv1.ListResponse{}
	for _, l := range list {
		resp.Letters = append(resp.Letters, toProto(l))
	}
	return resp, nil
}

// Show implements the contract.
func (s *Server) Show(ctx context.Context, req *eventsv1.ShowRequest) (*eventsv1.Letter, error) {
	if _, err := allowed(ctx, nil); err != nil {
		return nil, err
	}
	return s.show(ctx, req.GetLetter())
}

func (s *Server) show(ctx context.Context, id string) (*eventsv1.Letter, error) {
	l, err := s.letters.Get(ctx, id)
	if err != nil {
		return nil, describe(err)
	}
	out := toProto(l)
	text, err := shown(l)
	if err != nil {
		out.Unreadable = err.Error()
	}
	out.Json = text
	for _, a := range l.Actions {
		out.Actions = append(out.Actions, &eventsv1.Action{Name: a.Name, Author: a.Author, Reason: a.Reason, Time: timestamppb.New(a.Time)})
	}
	return out, nil
}

// Edit implements the contract.
func (s *Server) Edit(ctx context.Context, req *eventsv1.EditRequest) (*eventsv1.Letter, error) {
	author, err := allowed(ctx, req.GetBy())
	if err != nil {
		return nil, err
	}
	l, err := s.letters.Get(ctx, req.GetLetter())
	if err != nil {
		return nil, describe(err)
	}
	event, err := merged(l, req.GetJson())
	if err != nil {
		return nil, rpc.Errorf(rpcv1.Reason_REASON_INVALID_REQUEST, "edit dead letter: %v", err)
	}
	if err := s.letters.Edit(ctx, l.LetterID, event, author, req.GetBy().GetReason()); err != nil {
		return nil, describe(err)
	}
	return s.show(ctx, l.LetterID)
}

// Replay implements the contract.
func (s *Server) Replay(ctx context.Context, req *eventsv1.ReplayRequest) (*eventsv1.ReplayResponse, error) {
	n, err := s.settle(ctx, req.GetFilter(), req.GetBy(), req.GetDryRun(), s.letters.Replay)
	return &eventsv1.ReplayResponse{Count: int32(n)}, err
}

// Drop implements the contract.
func (s *Server) Drop(ctx context.Context, req *eventsv1.DropRequest) (*eventsv1.DropResponse, error) {
	n, err := s.settle(ctx, req.GetFilter(), req.GetBy(), req.GetDryRun(), s.letters.Drop)
	return &eventsv1.DropResponse{Count: int32(n)}, err
}

func (s *Server) settle(ctx context.Context, chosen *eventsv1.Filter, by *eventsv1.By, dry bool,
	do func(ctx context.Context, f events.Filter, author, reason string) (int, error),
) (int, error) {
	author, err := allowed(ctx, by)
	if err != nil {
		return 0, err
	}
	f := filter(chosen)
	if f.State != "" && f.State != "dead" {
		return 0, rpc.Errorf(rpcv1.Reason_REASON_INVALID_REQUEST, "only dead letters can be settled, not those that are %s", f.State)
	}
	if dry {
		return s.count(ctx, f)
	}
	n, err := do(ctx, f, author, by.GetReason())
	return n, describe(err)
}

func (s *Server) count(ctx context.Context, f events.Filter) (int, error) {
	for f.Limit = pageSize; ; f.Offset += pageSize {
		list, err := s.letters.List(ctx, f)
		if err != nil || len(list) < pageSize {
			return f.Offset + len(list), err
		}
	}
}

// allowed returns the author: who is signed in, or whom the command names. By is
// nil for those who only look.
func allowed(ctx context.Context, by *eventsv1.By) (author string, err error) {
	switch c := auth.FromContext(ctx); {
	case !c.Anonymous() && c.HasRole("operator", "admin"):
		return c.Subject, nil
	case c.Anonymous() && c.Service == command && (by == nil || strings.TrimSpace(by.GetAuthor()) != ""):
		return by.GetAuthor(), nil
	case c.Anonymous() && c.Service == command:
		return "", rpc.Errorf(rpcv1.Reason_REASON_INVALID_REQUEST, "the author is not given")
	}
	return "", rpc.Errorf(rpcv1.Reason_REASON_PERMISSION_DENIED, "dead letters are for operators")
}

func describe(err error) error {
	if errors.Is(err, events.ErrNoLetter) {
		return status.Error(codes.NotFound, "no such dead letter, or it was settled before")
	}
	return err
}

func filter(f *eventsv1.Filter) events.Filter {
	out := events.Filter{
		LetterID: f.GetLetter(), Topic: f.GetTopic(), Key: f.GetKey(), Group: f.GetGroup(), Reason: f.GetReason(), State: f.GetState(),
	}
	if f.GetBefore() != nil {
		out.Before = f.GetBefore().AsTime()
	}
	return out
}

func toProto(l events.Letter) *eventsv1.Letter {
	return &eventsv1.Letter{
		Letter: l.LetterID, Event: l.ID, Topic: l.Topic, Key: l.Key, Group: l.Group, Handler: l.Handler, Attempts: int32(l.Attempt),
		Reason: strings.ToValidUTF8(l.Reason, "?"), State: l.State,
		PublishTime: timestamppb.New(l.Published), DeathTime: timestamppb.New(l.Died), Headers: l.Headers,
	}
}
