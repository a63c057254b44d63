package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// shopper is somebody with an account, at an address of their own, who asks
// again until there is an answer.
type shopper struct {
	t               *testing.T
	url             string
	email, password string
	id              string
	baggage         string // of all requests
	client          *http.Client

	mu    sync.Mutex
	token string
}

const password = "correct horse battery staple"

// newShopper returns who comes from the nth address of this machine.
func newShopper(t *testing.T, url string, n int, email string) *shopper {
	t.Helper()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+n/250), byte(1+n%250))}}
	transport := &http.Transport{DialContext: from.DialContext, MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	return &shopper{
		t: t, url: url, email: email, password: password,
		client: &http.Client{Timeout: 15 * time.Second, Transport: transport},
	}
}

// send asks once.
func (c *shopper) send(ctx context.Context, method, path, key, body string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if c.baggage != "" {
		req.Header.Set("Baggage", c.baggage)
	}
	c.mu.Lock()
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	c.mu.Unlock()
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{resp.StatusCode, resp.Header, string(text)}, nil
}

// definite tells whether asking again would change nothing.
func (a answer) definite() bool {
	switch a.status {
	case http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusRequestTimeout:
		return false
	case http.StatusConflict:
		return a.reason() != "IDEMPOTENCY_KEY_IN_USE"
	}
	return a.status < 500
}

func (a answer) reason() string {
	var e struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal([]byte(a.body), &e)
	return strings.TrimPrefix(e.Reason, "REASON_")
}

// ask asks until there is an answer that counts, as clients should: with the
// same key. A server that fails in another way than by being away is a finding.
func (c *shopper) ask(ctx context.Context, method, path, key, body string) (answer, error) {
	var last string
	for {
		a, err := c.send(ctx, method, path, key, body)
		switch {
		case err != nil:
			last = err.Error()
		case a.definite():
			return a, nil
		default:
			last = fmt.Sprint(a.status, " ", a.body)
			if a.status == http.StatusInternalServerError || a.status == http.StatusNotImplemented {
				c.t.Errorf("%s %s: %s", method, path, last)
			}
			if a.status == http.StatusUnauthorized && path != "/v1/sessions" {
				if err := c.signIn(ctx); err != nil {
					return a, err
				}
			}
		}
		if !rest(ctx, 150*time.Millisecond) {
			return answer{}, fmt.Errorf("%s %s: no answer that counts: %s", method, path, last)
		}
	}
}

// read asks for a message.
func (c *shopper) read(ctx context.Context, path string, into proto.Message) error {
	return c.do(ctx, http.MethodGet, path, "", "", into)
}

// do asks for what must be granted.
func (c *shopper) do(ctx context.Context, method, path, key, body string, into proto.Message) error {
	a, err := c.ask(ctx, method, path, key, body)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return protojson.Unmarshal([]byte(a.body), into)
}

func (c *shopper) register(ctx context.Context) error {
	a, err := c.ask(ctx, "POST", "/v1/users", "", fmt.Sprintf(`{"email": %q, "password": %q}`, c.email, c.password))
	if err != nil {
		return err
	}
	if a.status != http.StatusOK && a.status != http.StatusConflict { // the answer to the first try may be lost
		return fmt.Errorf("register: %d %s", a.status, a.body)
	}
	return c.signIn(ctx)
}

func (c *shopper) signIn(ctx context.Context) error {
	session := &identityv1.Session{}
	err := c.do(ctx, "POST", "/v1/sessions", "", fmt.Sprintf(`{"email": %q, "password": %q}`, c.email, c.password), session)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.id = session.GetAccessToken(), session.GetUser().GetId()
	return nil
}

// topUp moves money from a card into the wallet, and returns whether it came.
func (c *shopper) topUp(ctx context.Context, key, card string, units int64) (bool, error) {
	body := fmt.Sprintf(`{"amount": {"currencyCode": "GBP", "minorUnits": "%d"},
		"card": {"number": %q, "expiryMonth": 12, "expiryYear": 2090, "cvv": "123"}}`, units, card)
	up := &paymentv1.TopUpAnswer{}
	if err := c.do(ctx, "POST", "/v1/wallet:topUp", key, body, up); err != nil {
		return false, err
	}
	for up.GetState() == paymentv1.TopUpState_PENDING {
		if !rest(ctx, 100*time.Millisecond) {
			return false, errors.New("top up: the bank does not answer")
		}
		if err := c.read(ctx, "/v1/wallet/topUps/"+up.GetTopUpId(), up); err != nil {
			return false, err
		}
	}
	return up.GetState() == paymentv1.TopUpState_CONFIRMED, nil
}

// order is what an order's request says: what is given as sku, quantity, ….
func orderBody(lines map[string]int) string {
	var parts []string
	for sku, n := range lines {
		parts = append(parts, fmt.Sprintf(`{"sku": %q, "quantity": %d}`, sku, n))
	}
	return `{"lines": [` + strings.Join(parts, ", ") + `], "address":
		{"name": "A. Shopper", "street": "1 High Street", "city": "London", "postalCode": "N1", "countryCode": "GB"}}`
}

func (c *shopper) place(ctx context.Context, key, body string) (*orderv1.Order, error) {
	o := &orderv1.Order{}
	return o, c.do(ctx, "POST", "/v1/orders", key, body, o)
}

func (c *shopper) order(ctx context.Context, id string) (*orderv1.Order, error) {
	o := &orderv1.Order{}
	return o, c.read(ctx, "/v1/orders/"+id, o)
}

// orders returns all orders, page by page.
func (c *shopper) orders(ctx context.Context) ([]*orderv1.Order, error) {
	var all []*orderv1.Order
	for token := ""; ; {
		page := &orderv1.ListOrdersResponse{}
		if err := c.read(ctx, "/v1/orders?page_size=100&page_token="+token, page); err != nil {
			return nil, err
		}
		all = append(all, page.GetOrders()...)
		if token = page.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// ended follows an order to its end.
func (c *shopper) ended(ctx context.Context, id string) (*orderv1.Order, error) {
	for {
		o, err := c.order(ctx, id)
		if err != nil || ended(o) {
			return o, err
		}
		if !rest(ctx, 100*time.Millisecond) {
			return o, fmt.Errorf("order %s is still %s", id, o.GetState())
		}
	}
}

// ended tells whether nothing more happens to an order by itself.
func ended(o *orderv1.Order) bool {
	switch o.GetState() {
	case orderv1.State_REJECTED, orderv1.State_CANCELLED, orderv1.State_DELIVERED, orderv1.State_RETURNED:
		return true
	}
	return false
}

// rest waits; false: there is no more time.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
