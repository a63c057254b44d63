package gateway

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
	"github.com/gowarren/warren/registry"
)

// grpcStatus is the status that an answer of gRPC-Web ends with.
func grpcStatus(t *testing.T, a answer) string {
	t.Helper()
	if s := a.header.Get("Grpc-Status"); s != "" {
		return s
	}
	_, trailers := deframe(t, a.body)
	_, rest, _ := strings.Cut(trailers, "grpc-status: ")
	s, _, _ := strings.Cut(rest, "\r\n")
	return s
}

// Rubbish is its sender's mistake: it must not open the breakers of a service that is
// well, for then anybody could take it from everybody.
func TestRubbishTakesNothingFromOthers(t *testing.T) {
	w := up(t, nil)
	good := framed(t, 0, &libraryv1.WatchBooksRequest{Count: 1})
	rubbish := "\x00\x00\x00\x00\x03\xff\xff\xff"
	for name, body := range map[string]string{"GetBook": rubbish, "WatchBooks": rubbish, "ImportBooks": good + rubbish, "Chat": rubbish} {
		for range 30 {
			got := w.do("POST", "/library.v1.LibraryService/"+name, body, "Content-Type", "application/grpc-web")
			if s := grpcStatus(t, got); s != "3" {
				t.Fatalf("%s: status %s, %v %q", name, s, got.header, got.body)
			}
		}
		if s := grpcStatus(t, w.do("POST", "/library.v1.LibraryService/"+name, good, "Content-Type", "application/grpc-web")); s != "0" {
			t.Errorf("%s: what can be read gets status %s", name, s)
		}
	}
}

// What is called with one message gets one: a second is not the service's to refuse.
func TestAStreamOfAnswersHasOneRequest(t *testing.T) {
	w := up(t, nil)
	one := framed(t, 0, &libraryv1.WatchBooksRequest{Count: 1})
	for body, want := range map[string]string{"": "3", one: "0", one + one: "3"} {
		got := w.do("POST", "/library.v1.LibraryService/WatchBooks", body, "Content-Type", "application/grpc-web")
		if s := grpcStatus(t, got); s != want {
			t.Errorf("%d bytes: status %s, want %s", len(body), s, want)
		}
	}
}

func TestOnlyPostCalls(t *testing.T) {
	w := up(t, nil)
	body := framed(t, 0, &libraryv1.GetBookRequest{Isbn: "1"})
	for method, want := range map[string]int{"POST": 200, "OPTIONS": 204, "PUT": 415, "GET": 415} {
		got := w.do(method, "/library.v1.LibraryService/GetBook", body, "Content-Type", "application/grpc-web")
		if called := strings.Contains(got.body, "from a"); got.status != want || called != (method == "POST") {
			t.Errorf("%s: %d %q", method, got.status, got.body)
		}
	}
}

func TestNamesOfBinaryMetadataAreChecked(t *testing.T) {
	w := up(t, nil)
	body := framed(t, 0, &libraryv1.GetBookRequest{Isbn: "1"})
	for name, want := range map[string]string{"Fine-Bin": "0", "Not!fine-Bin": "3"} {
		got := w.do("POST", "/library.v1.LibraryService/GetBook", body, "Content-Type", "application/grpc-web", name, base64.RawStdEncoding.EncodeToString([]byte("\x00\xff")))
		if s := grpcStatus(t, got); s != want {
			t.Errorf("%s: status %s, want %s", name, s, want)
		}
	}
}

// A message is found readable just as a decoder finds it.
func FuzzReadable(f *testing.F) {
	md := (&libraryv1.EchoRequest{}).ProtoReflect().Descriptor()
	whole, err := proto.Marshal(&libraryv1.EchoRequest{Text: "text"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	fields := md.Fields()
	for i := range fields.Len() { // each field with what is right and wrong for one kind or another
		for _, tail := range []string{"\x00", "\x01\xff", "\x02\x08\x80", "\x03\x08\x80\x01", "\x04abcd", "\x08abcdefgh", "\xff\xff\xff\xff\x0f"} {
			for kind := range 6 {
				f.Add(append(varint(uint64(fields.Get(i).Number())<<3|uint64(kind)), tail...))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(data, dynamicpb.NewMessage(md))
		if got := readable(data, md, 0); got != (err == nil) {
			t.Errorf("%x is readable: %v, and its decoder says %v", data, got, err)
		}
	})
}

func varint(v uint64) []byte {
	var out []byte
	for ; v >= 0x80; v >>= 7 {
		out = append(out, byte(v)|0x80)
	}
	return append(out, byte(v))
}

// plain announces a service of plain HTTP.
func (w *world) plain(h http.Handler, routes ...registry.Route) {
	w.t.Helper()
	backend := httptest.NewServer(h)
	w.t.Cleanup(backend.Close)
	_ = w.engine.Put(context.Background(), registry.Instance{ID: "web", Service: "web", Weight: 1,
		Address: strings.TrimPrefix(backend.URL, "http://"), State: registry.Ready, Routes: routes})
	w.eventually("the routes are known", func() bool {
		return len(w.gateway.table.Load().plains) == len(routes)
	})
}

func TestPlainServicesGetBodiesInTime(t *testing.T) {
	w := newWorld(t, map[string]string{"gateway.body.timeout": "200ms"})
	w.plain(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		select { // longer than a client may take
		case <-time.After(500 * time.Millisecond):
			_, _ = rw.Write(text)
		case <-r.Context().Done():
		}
	}), registry.Route{Method: "POST", Pattern: "/forms/{name}"})
	const head = " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
	for _, c := range []struct {
		name, path string
		parts      []string
		want       string
	}{
		{"nothing is sent", "/forms/a", nil, "HTTP/1.1 408"},
		{"a part is sent", "/forms/a", []string{"hello"}, "HTTP/1.1 408"},
		{"all is sent, and the service takes its time", "/forms/a", []string{"0123456789"}, "HTTP/1.1 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := raw(t, w, "POST "+c.path+head+strings.Join(c.parts, ""))
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%.200q", got)
			}
		})
	}
	w.eventually("all requests have ended", func() bool { return w.gateway.inFlight.Load() == 0 })
}

// Behind HTTP/2 on the same connection a client would be alone with the service.
func TestConnectionsToServicesAreNotGivenAway(t *testing.T) {
	w := newWorld(t, nil)
	var upgrades sync.Map
	w.plain(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		upgrades.Store(r.Header.Get("Upgrade")+r.Header.Get("Http2-Settings")+r.Header.Get("Connection"), true)
	}), registry.Route{Method: "GET", Pattern: "/pages/{name}"})
	for _, protocol := range []string{"h2c", "H2C", "websocket, h2c"} {
		got := raw(t, w, "GET /pages/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "+protocol+"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("%s: %.200q", protocol, got)
		}
	}
	upgrades.Range(func(seen, _ any) bool {
		if seen != "" {
			t.Errorf("the service is asked for %q", seen)
		}
		return true
	})
}

func TestDrainEndsStreamsOfPlainServices(t *testing.T) {
	w := newWorld(t, nil)
	left := make(chan struct{})
	w.plain(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(rw, "data: first\n\n")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
		close(left)
	}), registry.Route{Method: "GET", Pattern: "/live"})
	lines, closeBody := w.open(t.Context(), "/live")
	defer closeBody()
	if !lines.Scan() || lines.Text() != "data: first" {
		t.Fatalf("%q %v", lines.Text(), lines.Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- w.gateway.Drain(ctx) }()
	w.eventually("not ready", func() bool { return w.gateway.Ready(ctx) != nil })
	w.gateway.stopStreams()
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	<-left
}

func TestRedirectionsToTreesAreTheServices(t *testing.T) {
	w := newWorld(t, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tree/", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "the tree") })
	w.plain(mux, registry.Route{Method: "GET", Pattern: "/tree/"})
	for _, path := range []string{"/tree/", "/tree", "/tree?leaf=1"} {
		if got := w.get(path); got.status != 200 || got.body != "the tree" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := w.do("POST", "/tree/", ""); got.status != 405 {
		t.Errorf("POST: %d", got.status)
	}
}

func TestWhatClientsAcceptOfCompression(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP;Q=0.5": true, "*": true, "br": false, "gzip;q=0": false, "*;q=0": false,
		"*, gzip;q=0": false, "*;q=0.1, GZIP; Q=0": false, "*;q=0, gzip": true, "br, *;q=0.1": true, "gzip;q=nothing": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q accepts gzip: %v", header, got)
		}
	}
}

// Who is told that nothing has changed is told the same of the answer as at first.
func TestUnchangedAnswersVaryAsBefore(t *testing.T) {
	w := up(t, map[string]string{"gateway.gzip.min": "100"})
	for _, path := range []string{"/v1/books/long", "/openapi.json"} {
		first := w.get(path)
		again := w.get(path, "If-None-Match", first.header.Get("ETag"))
		for _, name := range []string{"Vary", "Cache-Control", "ETag"} {
			if again.status != 304 || first.header.Get(name) == "" || first.header.Get(name) != again.header.Get(name) {
				t.Errorf("%s: %s of %d is %q, of %d %q", path, name, first.status, first.header.Get(name), again.status, again.header.Get(name))
			}
		}
	}
}

// stuck is a connection whose client reads no more once the answer has begun.
type stuck struct {
	net.Conn
	left atomic.Int64
	end  chan struct{}
}

func (s *stuck) Read(p []byte) (int, error) {
	if s.left.Load() <= 0 {
		<-s.end
	}
	n, err := s.Conn.Read(p)
	s.left.Add(int64(-n))
	return n, err
}

func TestClientsThatReadNothing(t *testing.T) {
	for name, accept := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			w := up(t, map[string]string{"gateway.write.timeout": "500ms"})
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!accept)
			protocols.SetUnencryptedHTTP2(accept)
			end := make(chan struct{})
			transport := &http.Transport{
				Protocols: protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerConnection: 1 << 30, MaxReceiveBufferPerStream: 1 << 30},
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
					if err != nil {
						return nil, err
					}
					_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
					s := &stuck{Conn: conn, end: end}
					s.left.Store(64 << 10)
					return s, nil
				},
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer transport.CloseIdleConnections()
			defer close(end)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/books:watch?count=1000000000", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			w.eventually("the request has ended", func() bool { return w.gateway.inFlight.Load() == 0 })
		})
	}
}

// A stream in which nobody has anything to say is none whose client does not read.
func TestSilenceIsNoSlowClient(t *testing.T) {
	const timeout = 500 * time.Millisecond
	w := up(t, map[string]string{"gateway.write.timeout": timeout.String()})
	chat, err := w.dial().Chat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "b"} {
		if err := chat.Send(&libraryv1.ChatMessage{Text: text}); err != nil {
			t.Fatal(err)
		}
		if m, err := chat.Recv(); err != nil || m.GetText() != "re: "+text {
			t.Fatalf("%v %v", m, err)
		}
		<-time.After(2 * timeout)
	}
}
