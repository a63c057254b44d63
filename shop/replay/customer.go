package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// customer is one account at the gateway.
type customer struct {
	name     string
	gateway  string
	email    string
	patience time.Duration
	client   *http.Client
	token    string
	paidIn   int64
	placed   []*placement
	problems []string
}

// placement is an order, as it was wanted and as it came back.
type placement struct {
	key   string
	lines []wish
	order *orderv1.Order
	// refused is the shop's reason, where it took no order.
	refused string
}

const password = "a customer of long ago"

// newCustomer returns the nth customer. At a gateway on this machine each has an
// address of their own, as they would have elsewhere: the gateway counts by it.
func newCustomer(o options, name string, n int) *customer {
	transport := &http.Transport{MaxIdleConnsPerHost: 2}
	if u, err := url.Parse(o.gateway); err == nil && strings.HasPrefix(u.Hostname(), "127.") {
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n/250), byte(1+n%250))}}
		transport.DialContext = from.DialContext
	}
	return &customer{
		name: name, gateway: strings.TrimSuffix(o.gateway, "/"), email: "replay-" + o.run + "-" + strings.ToLower(name) + "@example.com",
		patience: o.patience, client: &http.Client{Timeout: 15 * time.Second, Transport: transport},
	}
}

func (c *customer) problemf(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("customer %s: ", c.name)+fmt.Sprintf(format, args...))
}

// refusal is a definite no.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// ask asks, with the same key, until there is an answer that counts.
func (c *customer) ask(ctx context.Context, method, path, key, body string, into proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	for {
		status, header, text, err := c.send(ctx, method, path, key, body)
		switch {
		case err == nil && status == http.StatusOK:
			return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, into)
		case err == nil && status == http.StatusUnauthorized && path != "/v1/sessions":
			err = c.signIn(ctx) // the token has ended
		case err == nil && passes(status, text):
			err = fmt.Errorf("%d %s", status, text)
		case err == nil:
			return &refusal{status, string(text)}
		}
		wait := 300 * time.Millisecond
		if seconds, bad := strconv.Atoi(header.Get("Retry-After")); bad == nil {
			wait = time.Duration(max(seconds, 1)) * time.Second
		}
		if !pause(ctx, wait) {
			return fmt.Errorf("%s %s: no answer that counts: %w", method, path, err)
		}
	}
}

// passes tells whether the answer may be another one later.
func passes(status int, text []byte) bool {
	return status >= 500 || status == http.StatusTooManyRequests ||
		status == http.StatusConflict && strings.Contains(string(text), "IDEMPOTENCY_KEY_IN_USE")
}

func (c *customer) send(ctx context.Context, method, path, key, body string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.gateway+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Idempotency-Key": key, "Authorization": c.token} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, text, err
}

// register makes the account, or finds it made by an earlier try.
func (c *customer) register(ctx context.Context) error {
	body := fmt.Sprintf(`{"email": %q, "password": %q, "displayName": "Customer %s"}`, c.email, password, c.name)
	err := c.ask(ctx, "POST", "/v1/users", "", body, &identityv1.User{})
	if no, ok := errors.AsType[*refusal](err); err != nil && (!ok || no.status != http.StatusConflict) {
		return fmt.Errorf("register: %w", err)
	}
	return c.signIn(ctx)
}

func (c *customer) signIn(ctx context.Context) error {
	session := &identityv1.Session{}
	body := fmt.Sprintf(`{"email": %q, "password": %q}`, c.email, password)
	if err := c.ask(ctx, "POST", "/v1/sessions", "", body, session); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	c.token = "Bearer " + session.GetAccessToken()
	return nil
}

// mostTopUp is what one top-up takes from a card.
const mostTopUp = 10_000_000

// payIn moves money from a card into the wallet, and waits until it is there.
func (c *customer) payIn(ctx context.Context, pence int64) error {
	for n := 1; pence > 0; n++ {
		part := min(pence, mostTopUp)
		up := &paymentv1.TopUpAnswer{}
		body := fmt.Sprintf(`{"amount": {"currencyCode": "GBP", "minorUnits": "%d"},
			"card": {"number": "4242424242424242", "expiryMonth": 12, "expiryYear": 2099, "cvv": "123"}}`, part)
		if err := c.ask(ctx, "POST", "/v1/wallet:topUp", fmt.Sprint("top-up-", n), body, up); err != nil {
			return fmt.Errorf("top up: %w", err)
		}
		for up.GetState() == paymentv1.TopUpState_PENDING {
			if !pause(ctx, 200*time.Millisecond) {
				return ctx.Err()
			}
			if err := c.ask(ctx, "GET", "/v1/wallet/topUps/"+up.GetTopUpId(), "", "", up); err != nil {
				return fmt.Errorf("top up: %w", err)
			}
		}
		if up.GetState() != paymentv1.TopUpState_CONFIRMED {
			return fmt.Errorf("top up: %s", up.GetDeclineReason())
		}
		c.paidIn += part
		pence -= part
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
