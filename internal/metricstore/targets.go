package metricstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/scrape"
)

// Target is an instance to be scraped: at a URL, or in this process.
type Target struct {
	Service, Instance, Version string
	URL                        string
	Handler                    http.Handler // instead of a URL
}

// TargetHealth is how the scraping of a target goes.
type TargetHealth struct {
	Service, Instance, Version string
	URL                        string
	// Up after a scrape that went well, and Known after the first.
	Up, Known bool
	Err       string // of the last scrape
	Scraped   time.Time
	Took      time.Duration
	Interval  time.Duration
}

// Metadata is what a metric says of itself.
type Metadata struct{ Name, Type, Unit, Help string }

const (
	job = "warren"
	// settle is the time in which changes of the targets become one.
	settle = 100 * time.Millisecond
	// mostTimeout is how long a scrape may take at most.
	mostTimeout = 4 * time.Second
)

func (s *Store) startScraping(l Limits) (err error) {
	s.scraping, err = scrape.NewManager(&scrape.Options{
		DiscoveryReloadInterval: model.Duration(settle), DiscoveryReloadOnStartup: true, PassMetadataInContext: true,
		HTTPClientOptions: []commonconfig.HTTPClientOption{commonconfig.WithDialContextFunc(s.inside.dial)},
		ParseST:           true,
	}, s.opts.Logger, nil, nil, s.gate, s.opts.Metrics)
	if err != nil {
		return fmt.Errorf("begin to scrape: %w", err)
	}
	cfg, err := s.scrapeConfig(l)
	if err == nil {
		err = s.scraping.ApplyConfig(cfg)
	}
	if err != nil {
		return fmt.Errorf("begin to scrape: %w", err)
	}
	return nil
}

// scrapeConfig lets the labels of a series win over those of its target: what
// the supervisor says of a service is that service's. It asks for protobuf, the
// format that says when a counter began.
func (s *Store) scrapeConfig(l Limits) (*promconfig.Config, error) {
	return promconfig.Load(fmt.Sprintf(`scrape_configs:
- job_name: %s
  honor_labels: true
  scrape_interval: %s
  scrape_timeout: %s
  scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]
  sample_limit: %d
  extra_scrape_metrics: true
  label_limit: 40
  label_value_length_limit: 1024
  body_size_limit: 32MB
`, job, model.Duration(l.ScrapeInterval), model.Duration(min(mostTimeout, l.ScrapeInterval)), l.SampleLimit), s.opts.Logger)
}

// SetTargets makes the store scrape these and no others. One that is new is
// scraped each second until an interval has passed. The series of one that is not
// among them any more end when it was missed twice.
func (s *Store) SetTargets(ctx context.Context, targets []Target) error {
	handlers := map[string]http.Handler{}
	sets := make([]model.LabelSet, 0, len(targets))
	for _, t := range targets {
		at := t.URL
		if t.Handler != nil {
			path := "/" + url.PathEscape(t.Instance)
			at = "http://" + insideHost + path
			handlers["/"+t.Instance] = t.Handler
		}
		u, err := url.Parse(at)
		if err != nil || u.Host == "" {
			return fmt.Errorf("scrape %s: %q is not a URL", t.Instance, at)
		}
		set := model.LabelSet{
			model.AddressLabel: model.LabelValue(u.Host), model.SchemeLabel: model.LabelValue(u.Scheme), model.MetricsPathLabel: model.LabelValue(u.Path),
			model.JobLabel: model.LabelValue(t.Service), model.InstanceLabel: model.LabelValue(t.Instance), "service": model.LabelValue(t.Service),
		}
		if t.Version != "" {
			set["version"] = model.LabelValue(t.Version)
		}
		for name, value := range s.opts.Labels {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		sets = append(sets, set)
	}
	s.inside.set(handlers)
	return s.meet(ctx, sets)
}

// Targets lists what is scraped, by service and instance.
func (s *Store) Targets() []TargetHealth {
	interval := s.limits.Load().ScrapeInterval
	var out []TargetHealth
	for _, t := range s.scraped() {
		h := TargetHealth{
			Service: t.GetValue("service"), Instance: t.GetValue(model.InstanceLabel), Version: t.GetValue("version"), URL: t.URL().String(),
			Up: t.Health() == scrape.HealthGood, Known: t.Health() != scrape.HealthUnknown,
			Scraped: t.LastScrape(), Took: t.LastScrapeDuration(), Interval: interval,
		}
		if err := t.LastError(); err != nil {
			h.Err = err.Error()
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b TargetHealth) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Instance, b.Instance))
	})
	return out
}

// Metadata tells what the metrics are that the targets show now, by name; of
// one, or with no name of all.
func (s *Store) Metadata(name string) []Metadata {
	found := map[string]Metadata{}
	for _, t := range s.scraped() {
		for _, m := range t.ListMetadata() {
			if name == "" || m.MetricFamily == name {
				found[m.MetricFamily] = Metadata{Name: m.MetricFamily, Type: string(m.Type), Unit: m.Unit, Help: m.Help}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Metadata) int { return strings.Compare(a.Name, b.Name) })
}
