package console

import "slices"

// preset is a plan to begin with.
type preset struct {
	name string
	plan plannedFault
}

// presets are those of the shop, where it is the shop that runs, and otherwise
// some for the first service.
func presets(services []string, now plannedFault) []tab {
	all := []preset{
		{"Payment is slow", plannedFault{Kind: "latency", Service: "payment", Delay: "2s", Share: "100", For: "2m"}},
		{"Payment fails now and then", plannedFault{Kind: "error", Service: "payment", Code: "UNAVAILABLE", Share: "30", For: "2m"}},
		{"The catalogue crashes", plannedFault{Kind: "kill", Service: "catalog", Every: "20s", For: "2m"}},
		{"Orders are cut off from prices", plannedFault{Kind: "partition", Caller: "order", Service: "catalog", For: "2m"}},
		{"Stock is slow for a few", plannedFault{Kind: "latency", Service: "inventory", Delay: "800ms", Jitter: "400ms", Share: "10", For: "5m"}},
	}
	if !slices.Contains(services, "payment") {
		all = presetsFor(somebody(services))
	}
	var out []tab
	for _, one := range all {
		if slices.Contains(services, one.plan.Service) && (one.plan.Caller == "" || slices.Contains(services, one.plan.Caller)) {
			out = append(out, tab{one.name, "/experiments?" + one.plan.query(), one.plan.query() == now.query()})
		}
	}
	return out
}

// somebody is a service of the system's own to begin with: the shop's payment,
// or the first there is.
func somebody(services []string) string {
	if slices.Contains(services, "payment") {
		return "payment"
	}
	for _, name := range services {
		if name != "gateway" && name != "coordinator" {
			return name
		}
	}
	return "SERVICE"
}

func presetsFor(first string) []preset {
	return []preset{
		{first + " is slow", plannedFault{Kind: "latency", Service: first, Delay: "2s", Share: "100", For: "2m"}},
		{first + " fails now and then", plannedFault{Kind: "error", Service: first, Code: "UNAVAILABLE", Share: "30", For: "2m"}},
		{first + " crashes", plannedFault{Kind: "kill", Service: first, Every: "20s", For: "2m"}},
		{first + " can't be reached", plannedFault{Kind: "partition", Caller: "gateway", Service: first, For: "2m"}},
	}
}
