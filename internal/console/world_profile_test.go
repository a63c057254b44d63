package console_test

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/flame"
)

const someProfile = "20261121-170300-000-payment-2-cpu"

// profilesWorld has a profile of a process that is busy with its answers.
type profilesWorld struct {
	observev1.UnimplementedProfileServiceServer
	world *world
}

func aboutProfile(id string) *observev1.Profile {
	return &observev1.Profile{
		Id: id, Service: "payment", Instance: "payment/2", Kind: observev1.ProfileKind_PROFILE_KIND_CPU, Time: ago(4 * time.Minute),
		Duration: durationpb.New(5 * time.Second), Size: 48 << 10, Version: "v1.4.2",
	}
}

// profileData is made of stacks, the outermost call first, with their
// milliseconds.
func profileData() []byte {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	known := map[string]*profile.Location{}
	const serve = "google.golang.org/grpc.(*Server).serveStreams.func2.1;google.golang.org/grpc.(*Server).handleStream;github.com/gowarren/warren/rpc.(*Server).unary;"
	const hold = serve + "main.(*service).Hold;main.(*ledger).book;"
	for text, ms := range map[string]int64{
		hold + "database/sql.(*Tx).ExecContext;modernc.org/sqlite.(*stmt).exec;modernc.org/sqlite/lib._sqlite3VdbeExec":                                   1240,
		hold + "database/sql.(*Tx).ExecContext;modernc.org/sqlite.(*stmt).exec;modernc.org/sqlite/lib._sqlite3VdbeExec;modernc.org/sqlite/lib._btreeNext": 410,
		hold + "encoding/json.Marshal;encoding/json.(*encodeState).marshal;reflect.Value.Field":                                                           230,
		hold + "runtime.mallocgc;runtime.nextFreeFast":                                                                                                    190,
		serve + "main.(*service).Capture;main.(*bank).charge;net/http.(*Client).Do;net/http.(*Transport).roundTrip;crypto/tls.(*Conn).Write":              370,
		serve + "buf.build/go/protovalidate.(*Validator).Validate;reflect.Value.Field":                                                                    120,
		"runtime.gcBgMarkWorker;runtime.systemstack;runtime.gcDrain;runtime.scanobject":                                                                   560,
		"runtime.mcall;runtime.schedule;runtime.findRunnable;runtime.netpoll":                                                                             140,
	} {
		s := &profile.Sample{Value: []int64{ms / 10, ms * int64(time.Millisecond)}}
		for name := range strings.SplitSeq(text, ";") {
			if known[name] == nil {
				f := &profile.Function{ID: uint64(len(known) + 1), Name: name, Filename: "/src/a.go"}
				p.Function = append(p.Function, f)
				known[name] = &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f, Line: 42}}}
				p.Location = append(p.Location, known[name])
			}
			s.Location = append([]*profile.Location{known[name]}, s.Location...)
		}
		p.Sample = append(p.Sample, s)
	}
	var b bytes.Buffer
	if p.Write(&b) != nil {
		return nil
	}
	return b.Bytes()
}

func (*profilesWorld) List(_ context.Context, req *observev1.ListProfilesRequest) (*observev1.ListProfilesResponse, error) {
	if req.GetInstance() != "payment/2" {
		return &observev1.ListProfilesResponse{}, nil
	}
	heap := aboutProfile("20261121-160000-000-payment-2-heap")
	heap.Kind, heap.Duration = observev1.ProfileKind_PROFILE_KIND_HEAP, nil
	return &observev1.ListProfilesResponse{Profiles: []*observev1.Profile{aboutProfile(someProfile), heap}}, nil
}

func (p *profilesWorld) Take(_ context.Context, req *observev1.TakeProfileRequest) (*observev1.TakeProfileResponse, error) {
	p.world.did("profile " + req.GetInstance() + " " + req.GetKind().String() + " " + req.GetDuration().AsDuration().String())
	return &observev1.TakeProfileResponse{Profile: aboutProfile(someProfile), Data: profileData()}, nil
}

func (*profilesWorld) Get(_ context.Context, req *observev1.GetProfileRequest) (*observev1.GetProfileResponse, error) {
	if req.GetId() != someProfile {
		return nil, status.Error(codes.NotFound, "the profile is not kept")
	}
	return &observev1.GetProfileResponse{Profile: aboutProfile(someProfile), Data: profileData()}, nil
}

// focusOf is the id of the most expensive call of a function.
func focusOf(function string) string {
	read, err := flame.Read(profileData(), "")
	if err != nil {
		return err.Error()
	}
	for _, f := range read.Functions() {
		if f.Name == function {
			return f.Frame.ID
		}
	}
	return ""
}
