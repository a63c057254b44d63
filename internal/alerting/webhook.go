package alerting

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// webhook posts messages in the form of Alertmanager's webhooks, version 4, so
// that whatever takes those takes these.
type webhook struct {
	url     string
	headers map[string]string
}

//nolint:tagliatelle // Alertmanager chose the names
type webhookBody struct {
	Version     string            `json:"version"`
	GroupKey    string            `json:"groupKey"`
	Truncated   int               `json:"truncatedAlerts"`
	Status      string            `json:"status"`
	Receiver    string            `json:"receiver"`
	Group       map[string]string `json:"groupLabels"`
	Labels      map[string]string `json:"commonLabels"`
	Annotations map[string]string `json:"commonAnnotations"`
	ExternalURL string            `json:"externalURL"`
	Alerts      []webhookAlert    `json:"alerts"`
}

//nolint:tagliatelle // Alertmanager chose the names
type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

func (w *webhook) send(ctx context.Context, m message) error {
	body := webhookBody{
		Version: "4", GroupKey: m.system, Status: "resolved", Receiver: m.receiver, Group: map[string]string{},
		Labels:      common(m, func(a metricstore.Alert) map[string]string { return a.Labels }),
		Annotations: common(m, func(a metricstore.Alert) map[string]string { return a.Annotations }),
	}
	add := func(status string, alerts []metricstore.Alert) {
		for _, a := range alerts {
			body.Status = status
			body.Alerts = append(body.Alerts, webhookAlert{
				Status: status, Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.Fired, EndsAt: a.Resolved, Fingerprint: fingerprint(a.Labels),
			})
		}
	}
	add("resolved", m.resolved)
	add("firing", m.firing) // last: one that fires makes the message one that fires
	headers := maps.Clone(w.headers)
	if headers == nil {
		headers = map[string]string{}
	}
	headers["Idempotency-Key"] = m.id
	return post(ctx, w.url, headers, body)
}

// common are the labels or annotations that all alerts of a message share.
func common(m message, of func(metricstore.Alert) map[string]string) map[string]string {
	all := append(append([]metricstore.Alert{}, m.firing...), m.resolved...)
	out := maps.Clone(of(all[0]))
	for _, a := range all[1:] {
		maps.DeleteFunc(out, func(name, value string) bool { return of(a)[name] != value })
	}
	return out
}

// alertmanager hands alerts to an Alertmanager, which groups, silences and
// delivers them.
type alertmanager struct{ url string }

//nolint:tagliatelle // Alertmanager chose the names
type postedAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (w *alertmanager) send(ctx context.Context, m message) error {
	// An alert that is not told again in time is over; two repetitions may be lost.
	until := time.Now().UTC().Add(4 * forwardAfter)
	var body []postedAlert
	for _, a := range m.firing {
		body = append(body, postedAlert{Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.Fired, EndsAt: until})
	}
	for _, a := range m.resolved {
		body = append(body, postedAlert{Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.Fired, EndsAt: a.Resolved})
	}
	return post(ctx, w.url+"/api/v2/alerts", nil, body)
}

func post(ctx context.Context, address string, headers map[string]string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("deliver alerts: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("deliver alerts: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	// Wherever a receiver leads, the secrets in the headers do not follow.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{Timeout: sendTimeout, CheckRedirect: stay}).Do(req)
	if err != nil {
		return fmt.Errorf("deliver alerts: %w", withoutAddress(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	const most = 200
	said, _ := io.ReadAll(io.LimitReader(resp.Body, most)) // what it says is only for people
	return fmt.Errorf("deliver alerts: the receiver answers %s: %s", resp.Status, bytes.TrimSpace(said))
}

// withoutAddress leaves out the URL, which holds the secret of many webhooks.
func withoutAddress(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // the client returns it as it is
		return u.Err
	}
	return err
}
