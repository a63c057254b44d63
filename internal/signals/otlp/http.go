package otlp

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Media types of OTLP over HTTP.
const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

// request is what both kinds of requests and responses can do. The JSON of OTLP
// has ids in hexadecimal, which that of protobuf has not.
type request interface {
	UnmarshalProto(body []byte) error
	UnmarshalJSON(body []byte) error
}

type response interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

func (in *intake) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		req, resp := ptraceotlp.NewExportRequest(), ptraceotlp.NewExportResponse()
		in.serve(w, r, req, resp, func() error {
			partial(resp, req.Traces())
			return in.traces(r.Context(), req.Traces())
		})
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		req, resp := plogotlp.NewExportRequest(), plogotlp.NewExportResponse()
		in.serve(w, r, req, resp, func() error { return in.logs(r.Context(), req.Logs()) })
	})
	return mux
}

func (in *intake) serve(w http.ResponseWriter, r *http.Request, req request, resp response, take func() error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != protobufType && media != jsonType {
		refuse(w, jsonType, http.StatusUnsupportedMediaType, codes.InvalidArgument, "send "+protobufType+" or "+jsonType)
		return
	}
	body, code, err := in.body(w, r)
	if err != nil {
		refuse(w, media, code, codes.InvalidArgument, err.Error())
		return
	}
	if err := decode(req, media, body); err != nil {
		refuse(w, media, http.StatusBadRequest, codes.InvalidArgument, err.Error())
		return
	}
	switch err := take(); {
	case errors.Is(err, ErrBusy):
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		refuse(w, media, http.StatusTooManyRequests, codes.ResourceExhausted, err.Error())
	case err != nil:
		refuse(w, media, http.StatusBadRequest, codes.InvalidArgument, err.Error())
	default:
		answer(w, media, resp)
	}
}

// decode keeps a panic in reading what a sender made up from being more than
// its error.
func decode(req request, media string, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the message cannot be read")
		}
	}()
	if media == jsonType {
		return req.UnmarshalJSON(body)
	}
	return req.UnmarshalProto(body)
}

// body reads what was sent, decompressed: it is what must not be too much.
func (in *intake) body(w http.ResponseWriter, r *http.Request) ([]byte, int, error) {
	var from io.Reader = http.MaxBytesReader(w, r.Body, int64(in.maxBytes))
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(from)
		if err != nil {
			return nil, http.StatusBadRequest, err
		}
		from = unzipped
	default:
		return nil, http.StatusUnsupportedMediaType, errors.New("compress with gzip, or not at all")
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(from, int64(in.maxBytes)+1))
	if _, large := errors.AsType[*http.MaxBytesError](err); large || n > int64(in.maxBytes) {
		return nil, http.StatusRequestEntityTooLarge, errors.New("the message has more than " + strconv.Itoa(in.maxBytes) + " bytes")
	}
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	return b.Bytes(), http.StatusOK, nil
}

func answer(w http.ResponseWriter, media string, resp response) {
	marshal := resp.MarshalProto
	if media == jsonType {
		marshal = resp.MarshalJSON
	}
	text, err := marshal()
	if err != nil {
		refuse(w, media, http.StatusInternalServerError, codes.Internal, err.Error())
		return
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(text) // the sender may be gone
}

// refuse answers with a google.rpc.Status, in the sender's media type.
func refuse(w http.ResponseWriter, media string, code int, reason codes.Code, text string) {
	st := status.New(reason, text).Proto()
	body, err := proto.Marshal(st)
	if media == jsonType {
		body, err = protojson.Marshal(st)
	}
	if err != nil {
		body = nil
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(code)
	_, _ = w.Write(body) // the sender may be gone
}
