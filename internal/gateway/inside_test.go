package gateway

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/reflected"
	"github.com/gowarren/warren/internal/transcode"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
	"github.com/gowarren/warren/telemetry"
)

func TestOneSpanPerRequest(t *testing.T) {
	w := newWorld(t, nil)
	spans := tracetest.NewInMemoryExporter()
	tel, err := telemetry.Open(context.Background(), telemetry.Options{Service: "gateway", Exporter: spans, Sample: func() float64 { return 1 }, Output: &lockedBuffer{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close(context.Background()) })
	w.opts.Client.Tracer, w.opts.Client.Metrics = tel.Tracer(), nil
	w.start()
	w.serve("a", w.library)
	w.eventually("the route works", func() bool { return w.get("/v1/books/1").status == 200 })
	if err := tel.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	spans.Reset()
	const trace = "0af7651916cd43dd8448eb211c80319c"
	got := w.get("/v1/books/none", "Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	if got.json(t)["trace_id"] != trace {
		t.Errorf("the problem does not name the trace: %s", got.body)
	}
	var names []string
	w.eventually("two spans", func() bool {
		if err := tel.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		names = nil
		for _, s := range spans.GetSpans() {
			if s.SpanContext.TraceID().String() != trace {
				t.Errorf("%s is in trace %s", s.Name, s.SpanContext.TraceID())
			}
			names = append(names, s.Name)
		}
		return len(names) >= 2
	})
	if all := strings.Join(names, " | "); len(names) != 2 || !strings.Contains(all, "GET /v1/books/{isbn}") {
		t.Errorf("spans: %s", all)
	}
}

func TestStrangersDoNotDecideWhatIsRecorded(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	const aService, aForger = "a service's", "a forger's"
	for trust, want := range map[string]struct {
		recorded, kept bool
	}{
		"": {false, true}, trustID: {false, true}, trustNothing: {false, false}, trustAll: {true, true},
		aService: {true, true}, aForger: {false, true},
	} {
		t.Run("trust "+trust, func(t *testing.T) {
			values, signed := map[string]string{}, ""
			switch trust {
			case trustID, trustNothing, trustAll:
				values["gateway.trace.trust"] = trust
			case aForger:
				signed = "e30.e30.e30"
			}
			w := newWorld(t, values)
			if trust == aService {
				var err error
				if signed, err = w.key.Sign("site"); err != nil {
					t.Fatal(err)
				}
			}
			spans := tracetest.NewInMemoryExporter()
			tel, err := telemetry.Open(context.Background(), telemetry.Options{Service: "gateway", Exporter: spans, Sample: func() float64 { return 0 }, Output: &lockedBuffer{}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tel.Close(context.Background()) })
			w.opts.Client.Tracer, w.opts.Client.Metrics = tel.Tracer(), nil
			w.start()
			got := w.get("/v1/none", "Traceparent", "00-"+id+"-b7ad6b7169203331-01", "Warren-Service", signed)
			if kept := got.json(t)["trace_id"] == id; kept != want.kept {
				t.Errorf("the id of the client's trace is kept: %v, want %v: %s", kept, want.kept, got.body)
			}
			if want.recorded {
				w.eventually("the span", func() bool { return tel.Flush(context.Background()) == nil && len(spans.GetSpans()) == 1 })
				return
			}
			// A request ends after its answer.
			w.eventually("the end of the request", func() bool { return strings.Contains(w.log.String(), "/v1/none") })
			if err := tel.Flush(context.Background()); err != nil || len(spans.GetSpans()) != 0 {
				t.Errorf("%d spans, %v", len(spans.GetSpans()), err)
			}
		})
	}
}

// broken is a client with a bug.
type broken struct{ grpc.ClientConnInterface }

func (broken) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { panic("a bug") }

func TestAPanicIsOneAnswerToOneCaller(t *testing.T) {
	w := up(t, nil)
	good := w.gateway.client
	w.gateway.client = broken{}
	got := w.get("/v1/books/1")
	if got.status != 500 || got.json(t)["reason"] != "INTERNAL" || strings.Contains(got.body, "a bug") {
		t.Errorf("%d %s", got.status, got.body)
	}
	w.gateway.client = good
	if got := w.get("/v1/books/1"); got.status != 200 || w.gateway.inFlight.Load() > 1 {
		t.Errorf("%d", got.status)
	}
}

// A contract that is another version of one linked into this program is taken
// as it comes.
func TestStrangersContracts(t *testing.T) {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(fd protoreflect.FileDescriptor)
	add = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			add(fd.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(fd))
	}
	add(libraryv1.File_library_v1_library_proto)
	same, err := reflected.Link(set)
	if err != nil {
		t.Fatal(err)
	}
	if fd, err := same.FindFileByPath("library/v1/library.proto"); err != nil || fd != libraryv1.File_library_v1_library_proto {
		t.Errorf("the linked contract is not used: %v", err)
	}
	changed := proto.CloneOf(set)
	own := changed.GetFile()[len(changed.GetFile())-1]
	for _, m := range own.GetMessageType() {
		if m.GetName() == "Book" {
			m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{Name: new("edition"), JsonName: new("edition"), Number: proto.Int32(50),
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()})
		}
	}
	k, err := (&catalogue{}).build("library.v1.LibraryService", changed)
	if err != nil {
		t.Fatal(err)
	}
	m := k.service.Method("CreateBook")
	if m.Access != contract.AccessPublic || m.IdempotencyKey != contract.KeyRequired {
		t.Errorf("the options are lost: %+v", m)
	}
	plan, err := transcode.Compile(m, m.Routes[0], k.service.JSON, k.types)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := plan.Decode(transcode.Request{Body: []byte(`{"title":"T","edition":"2nd"}`)}); err != nil || !strings.Contains(msg.(interface{ String() string }).String(), "2nd") {
		t.Errorf("%v %v", msg, err)
	}
	changed.File = changed.GetFile()[1:]
	if _, err := reflected.Link(changed); err == nil {
		t.Error("a missing import was not noticed")
	}
}
