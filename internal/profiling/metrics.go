package profiling

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// metrics tell how much is recorded, what is refused, and what is kept.
type metrics struct {
	taken   *prometheus.CounterVec
	dropped prometheus.Counter
}

func newMetrics(to prometheus.Registerer, s *Service) (*metrics, error) {
	m := &metrics{
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_profiles_total", Help: "Profiles that were asked for.",
		}, []string{"kind", "outcome"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_profiles_dropped_total", Help: "Profiles that had to make room for newer ones.",
		}),
	}
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.taken, m.dropped,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "warren_profiles_recording", Help: "Profiles that are being recorded."},
			func() float64 { return float64(s.recording.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "warren_profiles_kept", Help: "Profiles that are kept."},
			func() float64 { n, _ := s.shelf.size(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "warren_profiles_kept_bytes", Help: "What the profiles that are kept take on disk."},
			func() float64 { _, bytes := s.shelf.size(); return float64(bytes) }),
	} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// ended counts how a recording ended: what the caller could have known is
// refused, the rest has failed.
func (m *metrics) ended(kind observev1.ProfileKind, err error) {
	outcome := "failed"
	switch status.Code(err) {
	case codes.OK:
		outcome = "taken"
	case codes.InvalidArgument, codes.NotFound, codes.ResourceExhausted:
		outcome = "refused"
	}
	m.taken.WithLabelValues(kindName(kind), outcome).Inc()
}

// kindName is a kind as people write it; "unknown" is none of them.
func kindName(kind observev1.ProfileKind) string {
	if name, ok := observev1.ProfileKind_name[int32(kind)]; ok && kind != observev1.ProfileKind_PROFILE_KIND_UNSPECIFIED {
		return strings.ToLower(strings.TrimPrefix(name, "PROFILE_KIND_"))
	}
	return "unknown"
}
