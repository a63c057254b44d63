package alerting

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gowarren/warren/internal/metricstore"
)

// FileName is the file beside warren.yaml in which a system says which
// objectives and alerts it has, and who is told.
const FileName = "alerts.yaml"

// Config is what a system wants watched, and who is told.
type Config struct {
	Objectives []Objective
	Groups     []metricstore.RuleGroup // the system's own
	Receivers  []Receiver
	Period     time.Duration
	// Off are names of shipped alerts and objectives that are not wanted.
	Off []string
	// Source names the file.
	Source string
}

type fileText struct {
	Period    string                  `yaml:"period"`
	SLOs      map[string]sloText      `yaml:"slos"`
	Alerts    map[string]alertText    `yaml:"alerts"`
	Receivers map[string]receiverText `yaml:"receivers"`
	Off       []string                `yaml:"off"`
}

type sloText struct {
	Description string  `yaml:"description"`
	Service     string  `yaml:"service"`
	Objective   float64 `yaml:"objective"`
	Period      string  `yaml:"period"`
	Bad         string  `yaml:"bad"`
	All         string  `yaml:"all"`
	MinEvents   float64 `yaml:"min_events"`
	Runbook     string  `yaml:"runbook"`
}

type alertText struct {
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Keep        string            `yaml:"keep_firing_for"`
	Severity    string            `yaml:"severity"`
	Summary     string            `yaml:"summary"`
	Description string            `yaml:"description"`
	Runbook     string            `yaml:"runbook"`
	Labels      map[string]string `yaml:"labels"`
}

type receiverText struct {
	Severities   []string          `yaml:"severities"`
	Repeat       string            `yaml:"repeat"`
	Webhook      string            `yaml:"webhook"`
	Headers      map[string]string `yaml:"headers"`
	Alertmanager string            `yaml:"alertmanager"`
	Email        *emailText        `yaml:"email"`
}

type emailText struct {
	Server   string   `yaml:"server"`
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	User     string   `yaml:"user"`
	Password string   `yaml:"password"`
}

// Load reads the file of a system; one that is not there says nothing.
func Load(dir string) (Config, error) {
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{Source: FileName}, nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read the alerts: %w", err)
	}
	return Parse(FileName, text, os.Getenv)
}

// Parse reads the text; ${NAME} in what is secret is taken from the environment.
// Every mistake is told, with the name of what is wrong.
func Parse(name string, text []byte, environment func(string) string) (Config, error) {
	var parsed fileText
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.DisallowUnknownField()).Decode(&parsed); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	c := Config{Off: parsed.Off, Source: name}
	r := &fileReader{file: name, environment: environment}
	c.Period = r.duration("period", parsed.Period)
	for _, slo := range sortedKeys(parsed.SLOs) {
		c.Objectives = append(c.Objectives, r.objective(slo, parsed.SLOs[slo]))
	}
	group := metricstore.RuleGroup{Name: name}
	for _, alert := range sortedKeys(parsed.Alerts) {
		group.Rules = append(group.Rules, r.alert(alert, parsed.Alerts[alert]))
	}
	if len(group.Rules) > 0 {
		c.Groups = append(c.Groups, group)
	}
	for _, receiver := range sortedKeys(parsed.Receivers) {
		c.Receivers = append(c.Receivers, r.receiver(receiver, parsed.Receivers[receiver]))
	}
	r.off(parsed.Off)
	if len(r.errs) > 0 {
		return Config{}, errors.Join(r.errs...)
	}
	return c, r.check(c)
}

// check lets the store judge the expressions: of the alerts as they are, of the
// objectives as the rules that they become.
func (r *fileReader) check(c Config) error {
	groups := slices.Clone(c.Groups)
	for _, o := range c.Objectives {
		for place, expr := range map[string]string{"bad": o.Bad, "all": o.All} {
			rule := metricstore.Rule{Alert: "slos." + o.Name + "." + place, Expr: o.over(expr, time.Minute)}
			groups = append(groups, metricstore.RuleGroup{Name: o.Name + place, Rules: []metricstore.Rule{rule}})
		}
	}
	if err := metricstore.CheckRules(groups); err != nil {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	return nil
}

type fileReader struct {
	file        string
	environment func(string) string
	errs        []error
}

func (r *fileReader) reportf(field, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s: %s: %s", r.file, field, fmt.Sprintf(format, args...)))
}

func (r *fileReader) duration(field, text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := metricstore.ParseDuration(text)
	if err != nil || d <= 0 {
		r.reportf(field, "%q is not a duration such as 30s, 5m, 1h or 30d", text)
	}
	return d
}

var (
	alertName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
	sloName   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	variable  = regexp.MustCompile(`\$\{[A-Za-z0-9_]+\}`)
)

func (r *fileReader) objective(name string, t sloText) Objective {
	field := "slos." + name
	if !sloName.MatchString(name) {
		r.reportf(field, "use small letters, digits and dashes, beginning with a letter")
	}
	if t.Objective <= 0 || t.Objective >= 1 {
		r.reportf(field+".objective", "is %g; it is a share between 0 and 1, such as 0.999", t.Objective)
	}
	for place, expr := range map[string]string{"bad": t.Bad, "all": t.All} {
		if !strings.Contains(expr, windowPlace) {
			r.reportf(field+"."+place, "is a rate over [{window}], such as sum(rate(orders_total[{window}]))")
		}
	}
	return Objective{
		Name: name, Description: t.Description, Service: t.Service, Target: t.Objective, Period: r.duration(field+".period", t.Period),
		Bad: t.Bad, All: t.All, MinEvents: t.MinEvents, Runbook: t.Runbook, Source: r.file,
	}
}

func (r *fileReader) alert(name string, t alertText) metricstore.Rule {
	field := "alerts." + name
	if !alertName.MatchString(name) {
		r.reportf(field, "use letters and digits, beginning with a letter")
	}
	if t.Expr == "" || t.Summary == "" {
		r.reportf(field, "has no expr or no summary; whoever is woken wants to know why")
	}
	if !slices.Contains([]string{Page, Ticket, Info, None}, t.Severity) {
		r.reportf(field+".severity", "is %q; it is page, ticket, info or none", t.Severity)
	}
	labels := map[string]string{severityLabel: t.Severity}
	maps.Copy(labels, t.Labels)
	annotations := map[string]string{"summary": t.Summary, "description": t.Description, "runbook_url": t.Runbook}
	for key, value := range annotations {
		if value == "" {
			delete(annotations, key)
		}
	}
	return metricstore.Rule{
		Alert: name, Expr: t.Expr, For: r.duration(field+".for", t.For), KeepFiringFor: r.duration(field+".keep_firing_for", t.Keep),
		Labels: labels, Annotations: annotations,
	}
}

func (r *fileReader) receiver(name string, t receiverText) Receiver {
	field := "receivers." + name
	out := Receiver{Name: name, Severities: t.Severities, Repeat: r.duration(field+".repeat", t.Repeat)}
	if len(out.Severities) == 0 {
		out.Severities = []string{Page, Ticket}
	}
	for _, s := range out.Severities {
		if !slices.Contains([]string{Page, Ticket, Info, None}, s) {
			r.reportf(field+".severities", "%q is not one of page, ticket, info and none", s)
		}
	}
	switch {
	case t.Webhook != "" && t.Alertmanager == "" && t.Email == nil:
		headers := map[string]string{}
		for key, value := range t.Headers {
			headers[key] = r.expand(field+".headers."+key, value)
		}
		out.Kind, out.send = KindWebhook, &webhook{url: r.address(field+".webhook", r.expand(field+".webhook", t.Webhook)), headers: headers}
	case t.Alertmanager != "" && t.Webhook == "" && t.Email == nil:
		out.Kind, out.send = KindAlertmanager, &alertmanager{url: r.address(field+".alertmanager", t.Alertmanager)}
	case t.Email != nil && t.Webhook == "" && t.Alertmanager == "":
		e := t.Email
		if e.Server == "" || e.From == "" || len(e.To) == 0 {
			r.reportf(field+".email", "needs server (host:port), from and to")
		}
		out.Kind, out.send = KindEmail, &email{server: e.Server, from: e.From, to: e.To, user: e.User, password: r.expand(field+".email.password", e.Password)}
	default:
		r.reportf(field, "needs one of webhook, email and alertmanager")
	}
	return out
}

func (r *fileReader) address(field, text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		r.reportf(field, "is no http or https URL")
	}
	return strings.TrimSuffix(text, "/")
}

// expand takes secrets from the environment. The file is one that people share.
func (r *fileReader) expand(field, text string) string {
	return variable.ReplaceAllStringFunc(text, func(place string) string {
		name := place[2 : len(place)-1]
		value := r.environment(name)
		if value == "" {
			r.reportf(field, "the variable %s is not set", name)
		}
		return value
	})
}

// off names what is not there: a typo would leave an alert on that nobody wants.
func (r *fileReader) off(names []string) {
	known := shippedNames()
	for _, name := range names {
		if !slices.Contains(known, name) {
			r.reportf("off", "there is no alert or objective %s; there are %s", name, strings.Join(known, ", "))
		}
	}
}

func shippedNames() []string {
	var out []string
	for _, rules := range shipped() {
		for _, r := range rules {
			out = append(out, r.name)
		}
	}
	for _, o := range defaultObjectives() {
		out = append(out, o.Name)
	}
	slices.Sort(out)
	return out
}

// All returns the objectives in force: the shipped ones that are wanted, where
// the file has none of the name, and the file's.
func (c Config) All() []Objective {
	out := slices.DeleteFunc(defaultObjectives(), func(o Objective) bool {
		return slices.Contains(c.Off, o.Name) || slices.ContainsFunc(c.Objectives, func(p Objective) bool { return p.Name == o.Name })
	})
	return append(out, c.Objectives...)
}

// Rules returns all rules in force. An alert of the file takes the place of the
// shipped one of its name.
func (c Config) Rules(t Timing) []metricstore.RuleGroup {
	replaced := slices.Clone(c.Off)
	for _, g := range c.Groups {
		for _, r := range g.Rules {
			replaced = append(replaced, r.Alert)
		}
	}
	out := Shipped()
	for n := range out {
		out[n].Rules = slices.DeleteFunc(out[n].Rules, func(r metricstore.Rule) bool { return slices.Contains(replaced, r.Alert) })
	}
	if t.Period == 0 {
		t.Period = c.Period
	}
	for _, o := range c.All() {
		out = append(out, o.group(t))
	}
	return append(out, c.Groups...)
}
