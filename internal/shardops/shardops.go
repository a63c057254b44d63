// Package shardops serves a service's shards to those who look after databases:
// what the command "warren shards" asks for.
package shardops

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store/shards"
)

// command is the one caller who is believed about the author: it holds the
// system's key.
const command = "cli"

// Server answers for the shards of one service.
type Server struct {
	shardsv1.UnimplementedShardServiceServer
	shards *shards.Shards
	expand func(url string) string
}

// New returns a server of the shards; expand completes the URLs of databases.
func New(s *shards.Shards, expand func(url string) string) *Server {
	return &Server{shards: s, expand: expand}
}

// List implements the contract.
func (s *Server) List(ctx context.Context, _ *shardsv1.ListRequest) (*shardsv1.ListResponse, error) {
	if _, err := allowed(ctx, nil); err != nil {
		return nil, err
	}
	all, err := s.shards.Status(ctx)
	if err != nil {
		return nil, err
	}
	resp := &shardsv1.ListResponse{}
	for _, p := range all {
		resp.Shards = append(resp.Shards, toProto(p))
	}
	return resp, nil
}

// Show implements the contract.
func (s *Server) Show(ctx context.Context, req *shardsv1.ShowRequest) (*shardsv1.ShowResponse, error) {
	if _, err := allowed(ctx, nil); err != nil {
		return nil, err
	}
	shard, err := s.placement(ctx, req.GetShard())
	if err != nil {
		return nil, err
	}
	resp := &shardsv1.ShowResponse{Shard: shard}
	actions, err := s.shards.Actions(ctx, int(req.GetShard()))
	for _, a := range actions {
		resp.Actions = append(resp.Actions, &shardsv1.Action{
			Name: a.Name, Target: a.Target, Author: a.Author, Reason: a.Reason, Time: timestamppb.New(a.Time),
		})
	}
	return resp, err
}

// placement tells where one shard is.
func (s *Server) placement(ctx context.Context, shard int32) (*shardsv1.Shard, error) {
	if int(shard) >= s.shards.Count() {
		return nil, status.Errorf(codes.NotFound, "there is no shard %d: they are 0 to %d", shard, s.shards.Count()-1)
	}
	all, err := s.shards.Status(ctx)
	if err != nil {
		return nil, err
	}
	return toProto(all[shard]), nil
}

// Move implements the contract.
func (s *Server) Move(req *shardsv1.MoveRequest, stream grpc.ServerStreamingServer[shardsv1.MoveResponse]) error {
	ctx := stream.Context()
	target := s.expand(req.GetDatabase())
	if err := s.record(ctx, "move", req.GetShard(), target, req.GetBy()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lost error
	tell := func(p shards.Progress) {
		if lost = errors.Join(lost, stream.Send(progress(p))); lost != nil {
			cancel() // nobody listens
		}
	}
	last := shards.Progress{}
	err := s.shards.Move(ctx, int(req.GetShard()), target, func(p shards.Progress) { last = p; tell(p) })
	if err != nil {
		return describe(err)
	}
	if last.Phase != "done" { // it was there already
		last.Phase = "done"
		tell(last)
	}
	return lost
}

func progress(p shards.Progress) *shardsv1.MoveResponse {
	return &shardsv1.MoveResponse{
		Phase: p.Phase, Table: p.Table, Copied: int64(p.Copied), Changed: int64(p.Changed), Repaired: int64(p.Repaired),
		Fenced: durationpb.New(p.Fenced),
	}
}

// Abort implements the contract.
func (s *Server) Abort(ctx context.Context, req *shardsv1.AbortRequest) (*shardsv1.AbortResponse, error) {
	if err := s.record(ctx, "abort", req.GetShard(), "", req.GetBy()); err != nil {
		return nil, err
	}
	if err := s.shards.Abort(ctx, int(req.GetShard())); err != nil {
		return nil, describe(err)
	}
	shard, err := s.placement(ctx, req.GetShard())
	return &shardsv1.AbortResponse{Shard: shard}, err
}

// record keeps who is about to do what, if he may.
func (s *Server) record(ctx context.Context, name string, shard int32, target string, by *shardsv1.By) error {
	author, err := allowed(ctx, by)
	if err != nil {
		return err
	}
	if _, err := s.placement(ctx, shard); err != nil {
		return err
	}
	return s.shards.Record(ctx, shards.Action{Shard: int(shard), Name: name, Target: target, Author: author, Reason: by.GetReason()})
}

// allowed returns the author: who is signed in, or whom the command names. By is
// nil for those who only look.
func allowed(ctx context.Context, by *shardsv1.By) (author string, err error) {
	switch c := auth.FromContext(ctx); {
	case !c.Anonymous() && c.HasRole("operator", "admin"):
		return c.Subject, nil
	case c.Anonymous() && c.Service == command && (by == nil || strings.TrimSpace(by.GetAuthor()) != ""):
		return by.GetAuthor(), nil
	case c.Anonymous() && c.Service == command:
		return "", rpc.Errorf(rpcv1.Reason_REASON_INVALID_REQUEST, "the author is not given")
	}
	return "", rpc.Errorf(rpcv1.Reason_REASON_PERMISSION_DENIED, "shards are for operators")
}

// describe says what went wrong: whoever moves a shard looks after its databases.
func describe(err error) error {
	code := codes.FailedPrecondition
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = codes.Canceled
	case errors.Is(err, shards.ErrSuperseded), errors.Is(err, shards.ErrMoving):
		code = codes.Aborted
	}
	return status.Error(code, err.Error())
}

func toProto(p shards.Placement) *shardsv1.Shard {
	return &shardsv1.Shard{
		Shard: int32(p.Shard), Database: p.Database, Epoch: p.Epoch, MovingTo: p.MovingTo, LeftBehind: p.LeftBehind,
		Copied: int64(p.Copied), Waiting: int64(p.Waiting),
	}
}
