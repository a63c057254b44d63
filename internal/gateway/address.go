package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// networks are the proxies in front of the gateway.
type networks []netip.Prefix

// parseNetworks leaves out what it cannot read: an entry that is ignored
// makes the gateway believe less, never more.
func parseNetworks(text string) networks {
	var out networks
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if prefix, err := netip.ParsePrefix(part); err == nil {
			out = append(out, prefix.Masked())
		} else if addr, err := netip.ParseAddr(part); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return out
}

func (n networks) contain(addr netip.Addr) bool {
	for _, p := range n {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// clientAddress is where the request comes from: the peer, unless that is a
// proxy which is trusted; then the last address in X-Forwarded-For that is
// not. Everything to the left of it can be made up by the client.
func clientAddress(r *http.Request, trusted networks) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a unix socket
	}
	addr := peer.Addr().Unmap()
	if !trusted.contain(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, written := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(written))
		if err != nil {
			return addr
		}
		addr = hop.Unmap()
		if !trusted.contain(addr) {
			return addr
		}
	}
	return addr
}
