package transcode

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gowarren/warren/rpc"
)

// Problem is an error as REST answers it: application/problem+json of RFC
// 9457, with what google.rpc.Status says in its members.
type Problem struct {
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Status     int               `json:"status"`
	Detail     string            `json:"detail,omitempty"`
	Code       string            `json:"code"` // of gRPC: "NOT_FOUND"
	Reason     string            `json:"reason,omitempty"`
	Domain     string            `json:"domain,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Violations []Violation       `json:"violations,omitempty"`
	RequestID  string            `json:"request_id,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`

	RetryAfter time.Duration `json:"-"` // a header
}

// NewProblem makes a problem of a status code of HTTP; what a client needs to
// tell it from others of the same status is its reason.
func NewProblem(status int, reason, detail string) *Problem {
	return &Problem{
		Type: "about:blank", Title: title(status), Status: status,
		Code: codeName(codeOf(status)), Reason: reason, Domain: "warren", Detail: detail,
	}
}

// ProblemOf turns an error of a call into a problem. What the service did not
// mean for clients (errors without a reason that speak of its inside) is left
// to its logs.
func ProblemOf(err error) *Problem {
	if bad, ok := errors.AsType[*BadRequest](err); ok {
		p := NewProblem(http.StatusBadRequest, "INVALID_REQUEST", bad.Error())
		p.Violations = bad.Violations
		return p
	}
	s := status.Convert(err)
	p := NewProblem(rpc.HTTPStatus(s.Code()), "", s.Message())
	p.Code, p.Domain = codeName(s.Code()), ""
	for _, detail := range s.Details() {
		p.addDetail(detail)
	}
	if p.Reason == "" {
		p.hide(s.Code())
	}
	if p.Domain == "warren" && p.Reason == "IDEMPOTENCY_KEY_REUSED" {
		// What the draft of the header Idempotency-Key says; no code of gRPC does.
		p.Status, p.Title = http.StatusUnprocessableEntity, title(http.StatusUnprocessableEntity)
	}
	return p
}

func (p *Problem) addDetail(detail any) {
	switch d := detail.(type) {
	case *errdetails.ErrorInfo:
		p.Reason, p.Domain, p.Metadata = d.GetReason(), d.GetDomain(), d.GetMetadata()
	case *errdetails.BadRequest:
		for _, v := range d.GetFieldViolations() {
			p.Violations = append(p.Violations, Violation{Field: v.GetField(), Description: v.GetDescription()})
		}
	case *errdetails.RetryInfo:
		p.RetryAfter = d.GetRetryDelay().AsDuration()
	}
}

func (p *Problem) hide(code codes.Code) {
	switch code {
	case codes.Unknown, codes.Internal, codes.DataLoss:
		p.Detail = "an internal error happened; it was logged under the request's id"
	case codes.Unavailable:
		p.Detail = "the service is not available"
		p.Reason, p.Domain = "UNAVAILABLE", "warren"
	case codes.DeadlineExceeded:
		p.Detail = "the answer took too long"
	}
}

// Write answers with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", RetryAfter(p.RetryAfter))
	}
	body := p.JSON()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// JSON is the problem's body.
func (p *Problem) JSON() []byte {
	body, err := json.Marshal(p)
	if err != nil { // cannot happen: the members are strings and numbers
		return []byte(`{}`)
	}
	return body
}

// RetryAfter writes a wait as the header's whole seconds, never too short.
func RetryAfter(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// StatusClientClosedRequest is what a request counts as whose client left.
const StatusClientClosedRequest = 499

// GRPCStatus says the same to a client of gRPC.
func (p *Problem) GRPCStatus() *status.Status {
	s := status.New(codeOf(p.Status), p.Detail)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: p.Reason, Domain: p.Domain, Metadata: p.Metadata}}
	if len(p.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range p.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Description})
		}
		details = append(details, bad)
	}
	if p.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(p.RetryAfter)})
	}
	if full, err := s.WithDetails(details...); err == nil {
		return full
	}
	return s
}

func codeOf(status int) codes.Code {
	switch status {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return codes.Unavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return codes.DeadlineExceeded
	case StatusClientClosedRequest:
		return codes.Canceled
	case http.StatusInternalServerError:
		return codes.Internal
	}
	if status >= 400 && status < 500 {
		return codes.InvalidArgument
	}
	return codes.Unknown
}

func title(status int) string {
	if status == StatusClientClosedRequest {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// codeName spells a code as google.rpc.Code does.
func codeName(c codes.Code) string {
	return cmp.Or(code.Code_name[int32(c)], code.Code_UNKNOWN.String())
}
