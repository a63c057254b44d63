package console

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// edge is who calls whom, with what stands between them.
type edge struct {
	*observev1.TopologyEdge
	// breaker is nil where breakers aren't known, or can't be.
	breaker *breakers
}

// breakers are those of one caller to one service that are not closed. There is
// one for each method and instance.
type breakers struct {
	open, trying float64
	methods      []string
}

// pair is a caller and whom it calls.
type pair struct{ from, to string }

// edgesOf joins edges with the breakers on them. Without breakers, which is told
// apart from none, nothing is said of them.
func edgesOf(all []*observev1.TopologyEdge, broken map[pair]*breakers) []edge {
	var out []edge
	for _, e := range all {
		one := edge{TopologyEdge: e}
		from, called := strings.CutPrefix(e.GetFrom(), "service:")
		to, calls := strings.CutPrefix(e.GetTo(), "service:")
		if broken != nil && called && calls {
			if one.breaker = broken[pair{from, to}]; one.breaker == nil {
				one.breaker = &breakers{}
			}
		}
		out = append(out, one)
	}
	return out
}

// broken asks callers for their breakers at the end of the page's span of time.
// They know methods, not who serves them: that is asked of the contracts.
func (s *screens) broken(r *frame.Request) (map[pair]*breakers, error) {
	const query = "sum by (service, rpc_method, state) (warren_rpc_breaker_state)"
	var resp *observev1.QueryResponse
	var err error
	if r.Range.Relative() {
		resp, err = s.instant(r.Context(), query)
	} else {
		resp, err = s.metrics.Query(r.Context(), &observev1.QueryRequest{Query: query, Time: timestamppb.New(r.Range.To)})
	}
	if err != nil {
		return nil, err
	}
	out := map[pair]*breakers{}
	if len(resp.GetSamples()) == 0 {
		return out, nil
	}
	serves, err := s.servers(r.Context())
	if err != nil {
		return nil, err
	}
	for _, sample := range resp.GetSamples() {
		l := sample.GetLabels()
		for _, to := range serves[contractOf(l["rpc_method"])] {
			entry(out, pair{l["service"], to}).add(l["rpc_method"], l["state"], sample.GetValue())
		}
	}
	return out, nil
}

func (b *breakers) add(method, state string, n float64) {
	if n <= 0 {
		return
	}
	if state == "open" {
		b.open += n
	} else {
		b.trying += n
	}
	if name := methodName(method); !slices.Contains(b.methods, name) {
		b.methods = append(b.methods, name)
	}
}

// servers are the services that serve each contract.
func (s *screens) servers(ctx context.Context) (map[string][]string, error) {
	list, err := s.contracts.List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, c := range list.GetContracts() {
		out[c.GetName()] = c.GetServices()
	}
	return out, nil
}

// status is what the breakers let through.
func (b *breakers) status() frame.Status {
	switch {
	case b.open > 0:
		return frame.Status{Word: frame.Count(int64(b.open)) + " open", Tone: frame.Bad}
	case b.trying > 0:
		return frame.Status{Word: frame.Count(int64(b.trying)) + " half-open", Tone: frame.Warn}
	}
	return frame.Status{Word: "closed", Tone: frame.Good}
}

// tone is how an edge is doing: as its calls went, or worse where a breaker keeps
// calls back.
func (e edge) tone() frame.Tone {
	tone := edgeTone(e.GetCalls(), e.GetErrors())
	switch {
	case e.breaker != nil && e.breaker.open > 0:
		return frame.Bad
	case e.breaker != nil && e.breaker.trying > 0 && tone != frame.Bad:
		return frame.Warn
	}
	return tone
}

func (e edge) share() float64 { return float64(e.GetErrors()) / float64(max(1, e.GetCalls())) }

// label is the one thing to know of an edge at a glance; empty: all is as it
// should be.
func (e edge) label() string {
	switch tone := e.tone(); {
	case e.breaker != nil && e.breaker.open > 0:
		return "open"
	case tone == frame.Bad || tone == frame.Warn:
		return frame.Amount(e.share(), "%")
	}
	if len(e.GetVersions()) < 2 {
		return ""
	}
	least := slices.MinFunc(e.GetVersions(), func(a, b *observev1.VersionShare) int { return cmp.Compare(a.GetCalls(), b.GetCalls()) })
	return e.part(least) // there is no room for more
}

// part is how much of the calls went to a version.
func (e edge) part(v *observev1.VersionShare) string {
	var all int64
	for _, one := range e.GetVersions() {
		all += one.GetCalls()
	}
	return short(v.GetVersion()) + " " + frame.Amount(float64(v.GetCalls())/float64(max(1, all)), "%")
}

// split is how the calls went to the versions of whom is called.
func (e edge) split() []string {
	var out []string
	for _, v := range e.GetVersions() {
		text := e.part(v)
		if failed := float64(v.GetErrors()) / float64(max(1, v.GetCalls())); failed > someErrors {
			text += ", " + frame.Amount(failed, "%") + " failed"
		}
		out = append(out, text)
	}
	return out
}

// breakerCell is the state of an edge's breakers, with the methods they are of.
func (e edge) breakerCell() frame.Cell {
	if e.breaker == nil {
		return frame.Text("–")
	}
	state := e.breaker.status()
	return frame.Cell{Text: state.Word, Status: &state, Sub: strings.Join(e.breaker.methods, ", "), Order: e.breaker.open + e.breaker.trying}
}
