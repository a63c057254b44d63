package alerting

import (
	"bufio"
	"net"
	"testing"

	"github.com/gowarren/warren/internal/metricstore"
)

// A mail that the server took is sent, also where the server leaves without a word.
func TestMailIsSentOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewScanner(conn)
		say := func(text string) { _, _ = conn.Write([]byte(text + "\r\n")) }
		say("220 ready")
		for body := false; in.Scan(); {
			switch line := in.Text(); {
			case line == "DATA":
				body = true
				say("354 go on")
			case body && line == ".":
				say("250 taken")
				return // and no answer to QUIT
			case !body:
				say("250 ok")
			}
		}
	}()
	mail := &email{server: l.Addr().String(), from: "a@example.com", to: []string{"b@example.com"}}
	m := message{firing: []metricstore.Alert{{Name: "Broken", Labels: map[string]string{}}}}
	if err := mail.send(t.Context(), m); err != nil {
		t.Errorf("it would be sent again: %v", err)
	}
}
