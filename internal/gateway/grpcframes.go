package gateway

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/transcode"
)

// frames reads and writes messages: a flag, four bytes of length, the message.
type frames struct {
	in     io.Reader
	out    io.Writer
	gzip   bool
	limit  int
	buffer []byte
}

var (
	errNoFrame  = errors.New("the call has no message")
	errTwo      = errors.New("the call has more than one message")
	errFlag     = errors.New("a message is compressed in a way that the header does not name")
	errTruncate = errors.New("a message ends too early")
)

func (e *exchange) newFrames() (*frames, *transcode.Problem) {
	f := &frames{in: e.r.Body, out: e.w, limit: e.endpoint.body.Get()}
	if !e.endpoint.method.Unary() {
		f.in = &patientBody{e: e}
	}
	switch e.r.Header.Get("Grpc-Encoding") {
	case "", "identity":
	case "gzip":
		f.gzip = true
	default:
		e.w.Header().Set("Grpc-Accept-Encoding", "identity, gzip")
		return nil, transcode.NewProblem(http.StatusNotImplemented, "UNSUPPORTED_ENCODING", "the messages' encoding is not supported")
	}
	if e.grpc == grpcWebText {
		f.in = base64.NewDecoder(base64.StdEncoding, f.in)
		f.out = &base64Writer{w: e.w}
	}
	return f, nil
}

// read returns the next message, decompressed, or io.EOF after the last.
func (f *frames) read() (*frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errTruncate
		}
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if uint64(size) > uint64(f.limit) {
		return nil, errBodyTooLarge
	}
	// The length is only what the client says: memory is taken as data comes.
	data, err := io.ReadAll(io.LimitReader(f.in, int64(size)))
	if err != nil {
		return nil, err
	}
	if len(data) != int(size) {
		return nil, errTruncate
	}
	switch {
	case head[0] == 0:
		return &frame{data: data}, nil
	case head[0] == 1 && f.gzip:
		data, err = gunzip(data, f.limit)
		return &frame{data: data}, err
	}
	return nil, errFlag
}

func gunzip(data []byte, limit int) ([]byte, error) {
	z, err := gzip.NewReader(strings.NewReader(string(data)))
	if err != nil {
		return nil, fmt.Errorf("decompress a message: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("decompress a message: %w", err)
	}
	if len(out) > limit {
		return nil, errBodyTooLarge
	}
	return out, nil
}

// only returns the one message of a unary call.
func (f *frames) only() (*frame, error) {
	first, err := f.read()
	if errors.Is(err, io.EOF) {
		return nil, errNoFrame
	}
	if err != nil {
		return nil, err
	}
	if _, err := f.read(); err == nil {
		return nil, errTwo
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return first, nil
}

func (f *frames) write(m *frame) error { return f.writeFrame(0, m.data) }

func (f *frames) writeFrame(flag byte, data []byte) error {
	f.buffer = append(f.buffer[:0], flag)
	f.buffer = binary.BigEndian.AppendUint32(f.buffer, uint32(len(data)))
	f.buffer = append(f.buffer, data...)
	_, err := f.out.Write(f.buffer)
	if cap(f.buffer) > keepBody {
		f.buffer = nil
	}
	return err
}

// base64Writer encodes each write by itself, as clients of gRPC-Web expect.
type base64Writer struct{ w io.Writer }

// Write encodes and writes all of p.
func (b *base64Writer) Write(p []byte) (int, error) {
	if _, err := b.w.Write(base64.StdEncoding.AppendEncode(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// frameProblem says what is wrong with the client's frames.
func frameProblem(err error) *transcode.Problem {
	if p, ok := errors.AsType[problemError](err); ok {
		return p.problem
	}
	for _, known := range []error{errNoFrame, errTwo, errFlag, errTruncate} {
		if errors.Is(err, known) {
			return malformed(known.Error())
		}
	}
	return bodyProblem(err)
}

// passMetadata passes the client's own metadata on: everything that is neither
// HTTP's, nor gRPC's, nor the system's.
func (e *exchange) passMetadata() *transcode.Problem {
	var kv []string
	for name, values := range e.r.Header {
		key := strings.ToLower(name)
		if reserved(key) {
			continue
		}
		binary := strings.HasSuffix(key, "-bin")
		for _, v := range values {
			if !travels(key) || !binary && !printable(v) {
				return malformed("the metadata " + strconv.QuoteToASCII(short(key)) + " is no text that gRPC can carry")
			}
			if binary {
				raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(v, "="))
				if err != nil {
					continue
				}
				v = string(raw)
			}
			kv = append(kv, key, v)
		}
	}
	if len(kv) > 0 {
		e.ctx = metadata.AppendToOutgoingContext(e.ctx, kv...)
	}
	return nil
}

// travels tells whether gRPC takes metadata of the name: HTTP allows more.
func travels(key string) bool {
	for i := range len(key) {
		if c := key[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// printable tells whether gRPC takes a value that is text: HTTP allows more.
func printable(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}

func reserved(key string) bool {
	if metadataNames[key] || strings.HasPrefix(key, "grpc-") || strings.HasPrefix(key, "warren-") ||
		strings.HasPrefix(key, "sec-") || strings.HasPrefix(key, "access-control-") || strings.HasPrefix(key, ":") {
		return true
	}
	switch key {
	case "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-type", "content-length",
		"content-encoding", "accept", "accept-encoding", "accept-language", "user-agent", "x-user-agent", "origin", "referer", "cookie", "expect",
		"traceparent", "tracestate", "baggage", "x-request-timeout", "x-grpc-web", "dnt", "pragma", "cache-control", "priority", "http2-settings":
		return true
	}
	return false
}

// beginGRPC starts an answer.
func (e *exchange) beginGRPC(md metadata.MD) {
	h := e.w.Header()
	h.Set("Content-Type", e.r.Header.Get("Content-Type"))
	setMetadata(h, "", md)
	e.w.WriteHeader(http.StatusOK)
}

func setMetadata(h http.Header, prefix string, md metadata.MD) {
	for key, values := range md {
		if reserved(key) {
			continue
		}
		for _, v := range values {
			if strings.HasSuffix(key, "-bin") {
				v = base64.RawStdEncoding.EncodeToString([]byte(v))
			}
			h.Add(prefix+key, v)
		}
	}
}

// endGRPC writes the end of a call: in trailers, in a last frame for browsers,
// or, where nothing was answered, in the header.
func (e *exchange) endGRPC(frames *frames, trailer metadata.MD, err error) {
	if e.r.Context().Err() != nil {
		e.gone = true
		return
	}
	s := status.Convert(err)
	if err != nil {
		e.span.SetError(err)
		e.reason = s.Code().String()
	}
	h := e.w.Header()
	switch {
	case e.w.status == 0:
		h.Set("Content-Type", e.r.Header.Get("Content-Type"))
		setMetadata(h, "", trailer)
		setStatus(h, "", s)
		e.w.WriteHeader(http.StatusOK)
	case e.grpc == grpcNative:
		setMetadata(h, http.TrailerPrefix, trailer)
		setStatus(h, http.TrailerPrefix, s)
	default:
		last := http.Header{}
		setMetadata(last, "", trailer)
		setStatus(last, "", s)
		var text strings.Builder
		for key, values := range last {
			for _, v := range values {
				text.WriteString(strings.ToLower(key) + ": " + v + "\r\n")
			}
		}
		_ = frames.writeFrame(0x80, []byte(text.String())) // a client that left is noticed by its context
	}
}

// failGRPC answers with a problem of the gateway's own.
func (e *exchange) failGRPC(p *transcode.Problem) {
	if p.RetryAfter > 0 {
		e.w.Header().Set("Retry-After", transcode.RetryAfter(p.RetryAfter))
	}
	frames := &frames{out: e.w}
	if e.grpc == grpcWebText {
		frames.out = &base64Writer{w: e.w}
	}
	e.endGRPC(frames, nil, p.GRPCStatus().Err())
}

func setStatus(h http.Header, prefix string, s *status.Status) {
	h.Set(prefix+"Grpc-Status", strconv.Itoa(int(s.Code())))
	if s.Code() == codes.OK {
		return
	}
	h.Set(prefix+"Grpc-Message", percentEncode(s.Message()))
	if len(s.Proto().GetDetails()) > 0 {
		if raw, err := proto.Marshal(s.Proto()); err == nil {
			h.Set(prefix+"Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(raw))
		}
	}
}

// percentEncode writes a message as gRPC wants it in a header.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
