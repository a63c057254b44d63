package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// goods are what is bought.
var goods = []string{"22423", "22111", "22196", "21791", "22193"}

// customer is somebody at an address of their own: limits are by address.
type customer struct {
	url, token string
	orders     int
	http       *http.Client
}

func newCustomer(url string, n int) *customer {
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+n/250), byte(1+n%250))}}
	return &customer{url: url, http: &http.Client{Transport: &http.Transport{DialContext: from.DialContext, MaxIdleConnsPerHost: 2}}}
}

func (c *customer) request(ctx context.Context, method, path, key, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(r)
}

// do asks once.
func (c *customer) do(ctx context.Context, method, path, key, body string, into any) error {
	resp, err := c.request(ctx, method, path, key, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// patiently asks until the answer is yes: a shop that has just been opened may
// not have everything in its place yet.
func (c *customer) patiently(ctx context.Context, method, path, body string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := c.do(ctx, method, path, "once"+strings.ReplaceAll(path, "/", "-"), body, into)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func (c *customer) signIn(ctx context.Context, email string) error {
	var session struct{ AccessToken string }
	err := c.patiently(ctx, "POST", "/v1/sessions", fmt.Sprintf(`{"email": %q, "password": %q}`, email, password), &session)
	c.token = session.AccessToken
	return err
}

// join registers, signs in, and moves money from a card to the wallet.
func (c *customer) join(ctx context.Context, email string) error {
	if err := c.patiently(ctx, "POST", "/v1/users", fmt.Sprintf(`{"email": %q, "password": %q}`, email, password), nil); err != nil {
		return err
	}
	if err := c.signIn(ctx, email); err != nil {
		return err
	}
	var up struct{ TopUpID, State string }
	err := c.patiently(ctx, "POST", "/v1/wallet:topUp", `{"amount": {"currencyCode": "GBP", "minorUnits": "9000000"},
		"card": {"number": "4242424242424242", "expiryMonth": 12, "expiryYear": 2090, "cvv": "123"}}`, &up)
	for err == nil && up.State != "CONFIRMED" {
		err = c.patiently(ctx, "GET", "/v1/wallet/topUps/"+up.TopUpID, "", &up)
	}
	return err
}

// order is what is read of one.
type order struct{ OrderID, State, Reason string }

// buy orders, and watches the order until it is paid.
func (c *customer) buy(ctx context.Context, sku string, b *bought) error {
	c.orders++
	var o order
	begin := time.Now()
	if err := c.do(ctx, "POST", "/v1/orders", fmt.Sprint("order-", c.orders), fmt.Sprintf(`{"lines": [{"sku": %q, "quantity": 1}], "address":
		{"name": "A. Shopper", "street": "1 High Street", "city": "London", "postalCode": "N1", "countryCode": "GB"}}`, sku), &o); err != nil {
		return err
	}
	b.answered = append(b.answered, micros(time.Since(begin))/1000)
	if err := c.paid(ctx, o.OrderID); err != nil {
		return err
	}
	b.paid = append(b.paid, micros(time.Since(begin))/1000)
	return nil
}

func (c *customer) paid(ctx context.Context, id string) error {
	ctx, cancel := context.WithCancel(ctx) // who has seen enough leaves
	defer cancel()
	resp, err := c.request(ctx, "GET", "/v1/orders/"+id+":watch", "", "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var last string
	for lines.Scan() {
		last = lines.Text()
		data := strings.TrimPrefix(last, "data:")
		var o order
		if json.Unmarshal([]byte(data), &o) != nil {
			continue
		}
		switch o.State {
		case "PAID", "SHIPPED", "DELIVERED":
			return nil
		case "REJECTED", "CANCELLED":
			return fmt.Errorf("order %s is %s: %s", id, o.State, data)
		}
	}
	return fmt.Errorf("watch order %s: %s, %w, %s", id, resp.Status, lines.Err(), last)
}
