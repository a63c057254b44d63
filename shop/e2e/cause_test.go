package e2e

import (
	"fmt"
	"time"
)

// fromAFaultToItsCause is a night on call: payment becomes slow; the objective of
// checkouts burns, its alert fires, and from there the console leads by its links
// to the edge, to the trace, to the span with the fault, and to the saga that
// tries again. The experiment ends, and so does the alert.
func (s *shop) fromAFaultToItsCause(v *viewer) {
	const objective, alert = "checkouts", "ErrorBudgetBurnsFast"
	step, began := 0, time.Now()
	kept := func(what string) {
		step++
		v.t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
		v.Picture(fmt.Sprintf("cause-%d-%s", step, what))
	}
	v.Visit("/alerts")
	// On a machine that is busy, some checkouts take longer than they should: that is no alert yet.
	v.Eventually("the objective to be watched, and quiet", has("Objectives", objective, "quiet")+" && "+share(objective, "Now")+" > 0")
	v.Eventually("nothing to fire", "!("+has("Alerts", alert, objective)+")")
	kept("well")

	s.must("experiment", "start", "latency", "payment", "--delay", "3s", "--share", "0.4", "--name", "payment-slow", "--for", "10m",
		"--yes", "--reason", "does checkout hold when payment is slow?")
	v.Eventually("the objective to burn", share(objective, "Now")+" < "+share(objective, "Goal"))
	kept("objective-burns")
	v.Eventually("the alert to fire", has("Alerts", alert, objective, "firing"))
	kept("alert-fires")

	v.follow("the topology", link("Topology"), "topology")
	v.follow("what is unhealthy", link("Unhealthy only"), "topology")
	edge := aRow("Who calls whom", "coordinator", "payment")
	v.Eventually("the edge to be marked", edge+` !== undefined && `+edge+`.querySelector(".status.bad") !== null`)
	v.Eventually("the edge in the picture", `[...document.querySelectorAll(".topology .edge.bad title")].some((e) => e.textContent.startsWith("coordinator calls payment"))`)
	kept("edge")

	v.follow("the traces of the edge", edge+`.querySelector("a")`, "traces")
	v.follow("one of them", aRow("Traces", "error")+`?.querySelector("a")`, "trace")
	v.Read(field("Find in this trace") + `.value = "warren.fault"`)
	v.Read(field("Find in this trace") + `.form.requestSubmit()`)
	spans := aRow("Spans", "payment", "shop.payment.v1.PaymentService/")
	v.Eventually("the spans that the fault hit", `location.search.includes("warren.fault") && `+spans+` !== undefined`)
	v.follow("the span", spans+`.querySelector("a")`, "trace")
	v.Eventually("the fault on the span", fact("#chosen", "warren.fault")+` === "latency"`)
	kept("span")

	v.follow("the transaction", `[...document.querySelectorAll("dl.facts div")].find((d) => d.querySelector("dt").textContent === "Transaction")?.querySelector("a")`, "transaction")
	v.Eventually("the calls that took too long", has("Calls", "again: DeadlineExceeded"))
	v.Eventually("the retries", has("Calls", "attempt 2"))
	kept("saga")

	s.must("experiment", "stop", "payment-slow")
	v.follow("the alerts", link("Alerts"), "alerts")
	v.Eventually("the alert to be resolved", "!("+has("Alerts", alert, objective)+") && "+has("History", alert, objective, "ended")+" && "+has("Objectives", objective, "quiet"))
	kept("resolved")
	v.complained("from a fault to its cause")
}

// share is what an objective's row says in a column, in per cent.
func share(objective, column string) string {
	of := aRow("Objectives", objective)
	return fmt.Sprintf(`((r) => r === undefined ? NaN : parseFloat(r.cells[[...r.closest("table").tHead.rows[0].cells].findIndex((c) => c.textContent === %q)].textContent))(%s)`, column, of)
}

// fact is what a list of facts says of something.
func fact(within, name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q + " dl.facts div")].find((d) => d.querySelector("dt").textContent === %q)?.querySelector("dd").textContent`, within, name)
}

// field is an input, by its label.
func field(label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("main input")].find((i) => i.labels.length && i.labels[0].textContent.trim() === %q)`, label)
}
