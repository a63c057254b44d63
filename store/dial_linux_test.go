package store

import (
	"context"
	"net"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestVanishedServersAreGivenUp: what is sent to a server that vanished without a word is
// given up after half a minute, and so is the wait for its answer.
func TestVanishedServersAreGivenUp(t *testing.T) {
	for scheme, open := range map[string]func(context.Context, *url.URL) (*engine, error){
		"postgres": func(_ context.Context, u *url.URL) (*engine, error) { return openPostgres(u, "test") },
		"mysql":    openMySQL,
	} {
		t.Run(scheme, func(t *testing.T) {
			listener, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			u := &url.URL{Scheme: scheme, Host: listener.Addr().String(), Path: "/shop"}
			e, err := open(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = e.write.Connect(ctx) // to whom nobody answers
			}()
			server, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			fd := socketTo(t, listener.Addr().(*net.TCPAddr).Port)
			for option, want := range map[int]int{
				unix.TCP_USER_TIMEOUT: int(silence.Milliseconds()), unix.TCP_KEEPIDLE: int(probeAfter.Seconds()),
				unix.TCP_KEEPINTVL: int(probeEvery.Seconds()), unix.TCP_KEEPCNT: probes,
			} {
				// The probes are set when the connection is made already.
				for end := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
					got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option)
					if err == nil && got == want {
						break
					}
					if time.Now().After(end) {
						t.Fatalf("option %d is %d, %v; want %d", option, got, err, want)
					}
				}
			}
			cancel()
			_ = server.Close()
			<-ended
		})
	}
	if silence > time.Minute {
		t.Errorf("that is after %v", silence)
	}
}

// socketTo finds this process's connection to a port.
func socketTo(t *testing.T, port int) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range open {
		fd, err := strconv.Atoi(file.Name())
		if err != nil {
			continue
		}
		peer, err := unix.Getpeername(fd)
		if address, ok := peer.(*unix.SockaddrInet4); err == nil && ok && address.Port == port {
			return fd
		}
	}
	t.Fatalf("there is no connection to port %d", port)
	return -1
}
