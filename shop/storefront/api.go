package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// api is the gateway's public API: all that this service knows of the shop.
type api struct {
	transport http.RoundTripper
	patience  func() time.Duration
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// origin says for whom the API is called.
type origin struct {
	requestID string
	address   string // of the visitor
}

type originKey struct{}

func withOrigin(ctx context.Context, o origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// call is one request to the API.
type call struct {
	method string // empty: GET
	path   string
	query  url.Values
	token  string // access token
	key    string // of idempotency
	in     proto.Message
	out    proto.Message
}

// do calls the API once: what is safe to repeat, the gateway repeats. Its
// errors are problems.
func (a *api) do(ctx context.Context, c call) error {
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	resp, err := a.send(ctx, c, "application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return away(ctx, fmt.Errorf("read the answer to %s: %w", c.path, err))
	}
	if len(text) > maxAnswer {
		return away(ctx, fmt.Errorf("the answer to %s has more than %d bytes", c.path, maxAnswer))
	}
	if c.out == nil {
		return nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, c.out); err != nil {
		return away(ctx, fmt.Errorf("read the answer to %s: %w", c.path, err))
	}
	return nil
}

func (a *api) categories(ctx context.Context) ([]*catalogv1.Category, error) {
	out := &catalogv1.ListCategoriesResponse{}
	err := a.do(ctx, call{path: "/v1/categories", out: out})
	return out.GetCategories(), err
}

func (a *api) list(ctx context.Context, query url.Values) (*catalogv1.ListProductsResponse, error) {
	out := &catalogv1.ListProductsResponse{}
	err := a.do(ctx, call{path: "/v1/products", query: query, out: out})
	return out, err
}

// send returns an answer of success, whose body the caller closes.
func (a *api) send(ctx context.Context, c call, accept string) (*http.Response, error) {
	r, err := c.request(ctx)
	if err != nil {
		return nil, away(ctx, err)
	}
	r.Header.Set("Accept", accept)
	resp, err := a.transport.RoundTrip(r)
	if err != nil {
		return nil, away(ctx, fmt.Errorf("call %s: %w", c.path, err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readProblem(resp)
}

func (c call) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if c.in != nil {
		text, err := protojson.Marshal(c.in)
		if err != nil {
			return nil, fmt.Errorf("write the request of %s: %w", c.path, err)
		}
		body = bytes.NewReader(text)
	}
	address := url.URL{Scheme: "http", Host: "gateway", Path: c.path, RawQuery: c.query.Encode()} // App.Gateway sets the host
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, err
	}
	o, _ := ctx.Value(originKey{}).(origin)
	fields := map[string]string{"X-Request-Id": o.requestID, "X-Forwarded-For": o.address, "Idempotency-Key": c.key}
	if c.token != "" {
		fields["Authorization"] = "Bearer " + c.token
	}
	if body != nil {
		fields["Content-Type"] = "application/json"
	}
	if at, ok := ctx.Deadline(); ok { // there is no use in work whose answer comes too late
		fields["X-Request-Timeout"] = max(time.Until(at), time.Millisecond).Round(time.Millisecond).String()
	}
	for name, value := range fields {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r, nil
}

// problem is why a call was refused or had no answer.
type problem struct {
	Status     int               `json:"status"`
	Detail     string            `json:"detail"`
	Reason     string            `json:"reason"`
	Metadata   map[string]string `json:"metadata"`
	Violations []struct {
		Field       string `json:"field"`
		Description string `json:"description"`
	} `json:"violations"`
	RequestID string `json:"request_id"`

	retryAfter time.Duration
	cause      error
}

// Error is the problem for the log.
func (p *problem) Error() string {
	if p.cause != nil {
		return p.cause.Error()
	}
	return fmt.Sprintf("%d %s: %s", p.Status, p.Reason, p.Detail)
}

// Unwrap returns why there was no answer.
func (p *problem) Unwrap() error { return p.cause }

// away is the problem of a call that had no answer.
func away(ctx context.Context, cause error) *problem {
	p := &problem{Status: http.StatusServiceUnavailable, Reason: "UNAVAILABLE", cause: cause, retryAfter: time.Second}
	if ctx.Err() != nil {
		p.Status, p.Reason = http.StatusGatewayTimeout, "DEADLINE_EXCEEDED"
	}
	return p
}

// maxProblem is more than a problem ever has.
const maxProblem = 64 << 10

func readProblem(resp *http.Response) *problem {
	p := &problem{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err == nil {
		err = json.Unmarshal(text, p)
	}
	if err != nil { // no gateway of ours says so
		p = &problem{Detail: "the answer was not understood"}
	}
	p.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		p.retryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

// problemOf returns the problem that an error is, or one without an answer.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	return &problem{Status: http.StatusInternalServerError, Reason: "INTERNAL", cause: err}
}

// because tells whether the API refused for the reason.
func because(err error, reasons ...string) bool {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		return false
	}
	return slices.Contains(reasons, p.Reason)
}

// refused tells a definite no from what may be otherwise later.
func refused(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && p.Status >= 400 && p.Status < 500 && p.Status != http.StatusTooManyRequests && p.Status != http.StatusRequestTimeout
}
