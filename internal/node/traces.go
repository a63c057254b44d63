package node

import (
	"time"

	"github.com/gowarren/warren/config"
)

// Settings of traces.
var (
	settingSample = config.Float("trace.sample", 0.01, 0, 1,
		"The share of new traces that is recorded.")
	settingSlow = config.Duration("trace.slow", time.Second, 0, time.Hour,
		"How long a step lasts that is recorded although its trace was not chosen; 0: none for lasting long.")
	settingLate = config.Int("trace.late", 200, 0, 100_000,
		"How many steps a second are recorded for going wrong or lasting long, though their trace was not chosen.")
	settingBaggage = config.String("trace.baggage", "synthetic",
		"The keys of W3C Baggage that are carried along with traces, with commas between them.")
)

// traceSettings are asked by the tracer, which exists before there are settings.
type traceSettings struct {
	sample  *config.Value[float64]
	slow    *config.Value[time.Duration]
	late    *config.Value[int]
	baggage *config.Value[string]
}

func watchTraces(settings *config.Settings, own config.Scope) *traceSettings {
	return &traceSettings{
		sample: config.Watch(settings, settingSample, own), slow: config.Watch(settings, settingSlow, own),
		late: config.Watch(settings, settingLate, own), baggage: config.Watch(settings, settingBaggage, own),
	}
}

// sample is asked for every new trace.
func (n *Node) sample() float64 {
	if n.traces == nil {
		return 0
	}
	return n.traces.sample.Get()
}

func (n *Node) slow() time.Duration {
	if n.traces == nil {
		return 0
	}
	return n.traces.slow.Get()
}

func (n *Node) late() int {
	if n.traces == nil {
		return 0
	}
	return n.traces.late.Get()
}

func (n *Node) baggage() string {
	if n.traces == nil {
		return ""
	}
	return n.traces.baggage.Get()
}
