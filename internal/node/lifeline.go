package node

import (
	"fmt"
	"io"
	"net"
	"os"
)

// watchParent calls gone when the supervisor's end of the life line closes.
// Where the kernel kills children with their parent, this is never reached.
func watchParent(fd string, gone func()) error {
	n, err := descriptor(fd)
	if err != nil || n == 0 {
		return err
	}
	line := os.NewFile(n, "life line")
	if line == nil {
		return fmt.Errorf("open life line: file %s is not open", fd)
	}
	go func() {
		defer line.Close()
		_, _ = io.Copy(io.Discard, line)
		gone()
	}()
	return nil
}

// Listen opens the listener of a process: the one that the supervisor handed
// down, or one on the address.
func (e Environment) Listen() (net.Listener, error) {
	n, err := descriptor(e.ListenerFD)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		l, err := net.Listen("tcp", e.Address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", e.Address, err)
		}
		return l, nil
	}
	f := os.NewFile(n, "listener")
	if f == nil {
		return nil, fmt.Errorf("take over the listener: file %s is not open", e.ListenerFD)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over the listener: %w", err)
	}
	return l, nil
}

// AdvertiseAddress is where others reach a listener: what the environment
// says, completed by the listener's port, else the listener's own address with
// the machine's name in place of "any".
func (e Environment) AdvertiseAddress(l net.Listener) (string, error) {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("advertise %s: %w", l.Addr(), err)
	}
	if e.Advertise != "" {
		if _, _, err := net.SplitHostPort(e.Advertise); err == nil {
			return e.Advertise, nil
		}
		return net.JoinHostPort(e.Advertise, port), nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("advertise %s: %w; give --advertise", l.Addr(), err)
		}
	}
	return net.JoinHostPort(host, port), nil
}

// AdvertiseBeside is where others reach a further listener of the process: a port that
// the environment names is that of the first.
func (e Environment) AdvertiseBeside(l net.Listener) (string, error) {
	if host, _, err := net.SplitHostPort(e.Advertise); err == nil {
		e.Advertise = host
	}
	return e.AdvertiseAddress(l)
}
