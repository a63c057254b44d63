//go:build unix

package store

import (
	"net"
	"testing"
	"time"
)

// The PostgreSQL driver leaves a reader on a connection when a write took it
// long, as on a busy machine. Whether the server has hung up is told all the same.
func TestHungUpWaitsForNoReader(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	first, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = client.Read(make([]byte, 1))
		close(first)
		_, _ = client.Read(make([]byte, 1))
	}()
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-first
	told := make(chan bool, 1)
	go func() {
		gone := false
		for range 1000 { // in one of these the reader waits
			gone = gone || hungUp(client)
		}
		told <- gone
	}()
	select {
	case gone := <-told:
		if gone {
			t.Error("a living connection was told to be gone")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the reader")
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if !hungUp(client) {
		t.Error("that the server has hung up is not told")
	}
}
