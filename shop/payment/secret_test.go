package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// heap is everything that was written to it.
type heap struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heap) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heap) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Contains(h.text.Bytes(), []byte(text))
}

// collector takes spans as an OTLP collector does.
func collector(t testing.TB) (address string, spans *heap) {
	t.Helper()
	spans = &heap{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Errorf("spans: %v", err)
				return
			}
			body = unzipped
		}
		if _, err := io.Copy(spans, body); err != nil {
			t.Errorf("spans: %v", err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "otlp+http://", 1), spans
}

// checksums are what a number could be found from, by trying: there are not so
// many.
func checksums(t testing.TB, number string) []string {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&paymentv1.TopUpRequest{Amount: gbp(1000).message(), Card: card(number)})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, text := range [][]byte{raw, []byte(number)} {
		sum := sha256.Sum256(text)
		out = append(out, hex.EncodeToString(sum[:]), string(sum[:]), base64.StdEncoding.EncodeToString(sum[:]))
	}
	return out
}

// TestCardsAreNowhere tops up with good cards, declined cards, broken cards and
// while the provider is away from its senses, and then looks for the numbers
// wherever anything is written: logs at their finest, spans, databases with
// their logs and events, answers.
func TestCardsAreNowhere(t *testing.T) {
	logs, err := os.CreateTemp(t.TempDir(), "logs")
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = logs
	t.Cleanup(func() { os.Stderr = stderr })
	traces, spans := collector(t)
	s := started(t, "--log-level", "debug", "--traces", traces)

	const mistyped = "4929939187355599" // its last digit is wrong
	secrets := []string{mistyped, goodCard, "4000000000000002", "4000000000000119", "4000000000000341", `"987"`, "cvv:987", "cvv=987"}
	for _, number := range secrets[1:5] {
		s.ended("ada", s.topUp("ada", number, 1000).GetTopUpId())
		secrets = append(secrets, checksums(t, number)...)
	}
	var answers heap
	body := map[string]any{
		"amount": map[string]any{"currencyCode": "GBP", "minorUnits": "10000"},
		"card":   map[string]any{"number": mistyped, "expiryMonth": 12, "expiryYear": 2099, "cvv": "987"},
	}
	for _, change := range []func(){
		func() {},
		func() { body["card"].(map[string]any)["cvv"] = "98765" },
		func() { body["card"].(map[string]any)["number"] = mistyped + "x" },
		func() { body["card"].(map[string]any)["expiryMonth"] = 13 },
	} {
		change()
		status, answer := s.rest("POST", "/v1/wallet:topUp", "ada", "k", body)
		if status == http.StatusOK {
			t.Errorf("a broken card is accepted: %s", answer)
		}
		_, _ = answers.Write(answer)
	}
	if _, err := s.ListEntries(s.as("ada"), &paymentv1.ListEntriesRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := s.service.Stop(); err != nil { // everything is written and sent
		t.Fatal(err)
	}

	text, err := os.ReadFile(logs.Name())
	if err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{"the logs": text, "the spans": spans.text.Bytes(), "the answers": answers.text.Bytes()}
	err = filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		places[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range places {
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%q is in %s", secret, place)
			}
		}
	}
	// What is looked through is what was written.
	if !bytes.Contains(text, []byte("payment")) || !spans.has("shop.payment.v1.PaymentService") {
		t.Errorf("nothing was logged or traced: %d bytes of logs, %d of spans", len(text), spans.text.Len())
	}
	found := false
	for _, text := range places {
		found = found || bytes.Contains(text, []byte("card_"))
	}
	if !found {
		t.Error("no token is in any file: the databases were not looked through")
	}
}
