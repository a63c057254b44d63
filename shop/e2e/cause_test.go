package e2e

import (
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
)

// fromAFaultToItsCause is a night on call, without any command: an experiment makes
// payment slow; the objective of checkouts burns, its alert fires, and from there
// the console leads by its links to the edge, to the trace, to the span with the
// fault, and to the saga that tries again. The experiment is stopped, and the alert
// ends.
func fromAFaultToItsCause(v *viewer) {
	const objective, alert, experiment = "checkouts", "ErrorBudgetBurnsFast", "payment-slow"
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

	v.plan(experiment)
	kept("blast-radius")
	v.does("start it", `document.querySelector("#radius a.main")`, "does checkout hold when payment is slow?")
	v.Eventually("the experiment to run", has("Running", experiment, "running"))
	kept("experiment-runs")

	v.follow("the alerts", link("Alerts"), "alerts")
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

	v.follow("the experiments", link("Experiments"), "experiments")
	v.does("stop it", aRow("Running", experiment)+`?.querySelector("a.danger")`, "the cause is found")
	v.Eventually("the experiment to be over", has("Over", experiment, "stopped"))
	v.follow("the alerts", link("Alerts"), "alerts")
	v.Eventually("the alert to be resolved", "!("+has("Alerts", alert, objective)+") && "+has("History", alert, objective, "ended")+" && "+has("Objectives", objective, "quiet"))
	kept("resolved")
	v.complained("from a fault to its cause")
}

// plan writes down the experiment "payment is slow" on its page, until that says what
// it would hit.
func (v *viewer) plan(name string) {
	v.t.Helper()
	v.follow("the experiments", link("Experiments"), "experiments")
	v.follow("a plan to begin with", link("Payment is slow"), "experiments")
	v.Eventually("the plan", hit("payment/1"))
	for field, value := range map[string]string{"delay": "3s", "share": "40", "for": "10m", "name": name} {
		v.Run(chromedp.SetValue(fmt.Sprintf("#plan input[name=%s]", field), value, chromedp.ByQuery))
	}
	v.Run(chromedp.Click("#plan form button", chromedp.ByQuery))
	v.Eventually("its blast radius", hit(name, "latency of 3 s", "40 % of the calls", "payment/1", "coordinator", "PaymentService/Hold"))
}

// hit tells whether a plan's blast radius has these words.
func hit(words ...string) string {
	return fmt.Sprintf(`document.querySelector("#radius") !== null && %s.every((w) => document.querySelector("#radius").innerText.includes(w))`, literal(words))
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
