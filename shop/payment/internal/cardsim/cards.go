package cardsim

import "time"

// behaviour is what a card does when it is charged.
type behaviour struct {
	name     string
	declined string // why; empty: approved
	unknown  bool   // the charge is made, the answer is lost
	lost     bool   // the first request never arrives
	late     bool   // the outcome is known after a while only
	reports  int64  // how often the merchant is told
	slow     time.Duration
}

// cards are the cards that do something special, by number. Those that others
// use for such tests do here what they do there, where there is such a thing.
var cards = map[string]behaviour{
	"4000000000000002": {name: "declined", declined: "card declined"},
	"4000000000009995": {name: "insufficient funds", declined: "insufficient funds"},
	"4000000000009987": {name: "lost card", declined: "lost card"},
	"4000000000000069": {name: "expired", declined: "expired card"},
	"4000000000000127": {name: "wrong code", declined: "incorrect security code"},
	"4000000000000119": {name: "unknown", unknown: true},
	"4000000000000101": {name: "unknown declined", unknown: true, declined: "card declined"},
	"4000000000000341": {name: "lost request", lost: true},
	"4000000000000077": {name: "late", late: true, reports: 1},
	"4000000000000259": {name: "late declined", late: true, declined: "card declined", reports: 1},
	"4000000000003220": {name: "reported thrice", reports: 3},
	"4000000000003055": {name: "slow", slow: 2 * time.Second},
}

var usual = behaviour{name: "approved"}

func named(name string) behaviour {
	for _, b := range cards {
		if b.name == name {
			return b
		}
	}
	return usual
}
