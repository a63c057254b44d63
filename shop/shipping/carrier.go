package main

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/gowarren/warren/rpc"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

// carrierRetry is how soon a carrier that is down may be asked again.
const carrierRetry = 500 * time.Millisecond

// carrier stands for a company that carries shipments. What it does with one is
// made up from its id: asked again, it answers the same.
type carrier struct{ settings *settings }

// book announces a shipment and returns the carrier's number.
func (c carrier) book(id string) (trackingNumber string, err error) {
	if c.settings.down.Get() {
		err := rpc.Errorf(shippingv1.Reason_CARRIER_DOWN, "the carrier does not answer")
		err.RetryAfter = carrierRetry
		return "", err
	}
	if hit(c.settings.refusals.Get(), "refuse", id) {
		return "", rpc.Errorf(shippingv1.Reason_CARRIER_REFUSED, "the carrier does not take shipment %q", id)
	}
	sum := sha256.Sum256([]byte(id))
	return "WC" + base32.StdEncoding.EncodeToString(sum[:10]), nil
}

// fails reports whether a try of the shipment's next step goes wrong.
func (c carrier) fails(s shipment) func(attempt int) bool {
	return func(attempt int) bool {
		return hit(c.settings.failures.Get(), "fail", s.id, s.state.String(), strconv.Itoa(attempt))
	}
}

// hit chooses a share of all that is named by parts, always the same ones.
func hit(share float64, parts ...string) bool {
	sum := fnv.New64a()
	for _, p := range parts {
		fmt.Fprintf(sum, "%q", p)
	}
	const steps = 1 << 20
	return float64(mix(sum.Sum64())%steps) < share*steps
}

// mix spreads what similar names have in common.
func mix(n uint64) uint64 {
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	return n ^ n>>33
}
