package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkPipeline measures what the gateway itself costs: a request of a
// signed-in user to a service in the same process, without the client's side
// of HTTP.
func BenchmarkPipeline(b *testing.B) {
	w := up(b, map[string]string{"gateway.rate.address.requests": "1000000000"})
	w.gateway.access.close()
	w.gateway.access = newAccessLog(io.Discard, w.gateway.metrics.dropped)
	token := "Bearer " + w.issuer.token(b, "ann", "library", time.Hour)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("GET", "/v1/books/978", nil)
			r.Header.Set("Authorization", token)
			r.RemoteAddr = "127.0.0.1:1234"
			rec := httptest.NewRecorder()
			w.gateway.ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				b.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	w := up(b, nil)
	t := w.gateway.table.Load()
	r := httptest.NewRequest("GET", "/v1/books/978", nil)
	b.ReportAllocs()
	for b.Loop() {
		if t.find(r).route == nil {
			b.Fatal("no route")
		}
	}
}
