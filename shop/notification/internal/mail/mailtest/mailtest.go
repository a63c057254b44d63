// Package mailtest is a mail server for tests: it speaks SMTP over real
// connections, with STARTTLS and passwords, and goes wrong when it is told to.
package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Options say what a server demands.
type Options struct {
	// Implicit is TLS from the first byte.
	Implicit bool
	// NoTLS offers no STARTTLS.
	NoTLS bool
	// User and Password, if they are set, are demanded of clients.
	User, Password string
}

// Server is a mail server. Its faults happen on request.
type Server struct {
	// URL is where it listens, without user and password.
	URL string
	// CA is a file with its certificate.
	CA string

	opts     Options
	tls      *tls.Config
	listener net.Listener

	mu     sync.Mutex
	mails  []Mail
	faults []Fault
	tries  int
}

// Mail is an e-mail that the server took.
type Mail struct {
	From, To  string
	Encrypted bool
	Header    mail.Header
	Body      []byte
	Raw       []byte
}

// Fault is what happens to one conversation.
type Fault struct {
	// At is the command ("RCPT", "DATA", or "." for the end of the e-mail) that is
	// answered with Reply, and Close hangs up instead of answering.
	At    string
	Reply string
	Close bool
	// Keep takes the e-mail nevertheless.
	Keep bool
}

// New starts a server that ends with the test.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	// The certificate of httptest is good for 127.0.0.1.
	secure := httptest.NewTLSServer(nil)
	defer secure.Close()
	s := &Server{opts: opts, CA: filepath.Join(t.TempDir(), "ca.pem")}
	s.tls = &tls.Config{Certificates: secure.TLS.Certificates, MinVersion: tls.VersionTLS12}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(s.CA, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	scheme := "smtp"
	if opts.Implicit {
		scheme = "smtps"
	}
	s.URL = scheme + "://" + s.listener.Addr().String()
	var all sync.WaitGroup
	all.Go(func() { s.accept(&all) })
	t.Cleanup(func() { s.listener.Close(); all.Wait() })
	return s
}

// Mails returns what the server took.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Tries is how many conversations there were.
func (s *Server) Tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// Fail has the next conversations go wrong, one after the other.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

func (s *Server) accept(all *sync.WaitGroup) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			defer conn.Close()
			s.talk(conn)
		})
	}
}

// conversation is one connection.
type conversation struct {
	*Server
	conn      net.Conn
	in        *textproto.Reader
	fault     Fault
	encrypted bool
	signedIn  bool
	from, to  string
}

func (s *Server) talk(conn net.Conn) {
	c := &conversation{Server: s, encrypted: s.opts.Implicit, signedIn: s.opts.User == ""}
	if s.opts.Implicit {
		conn = tls.Server(conn, s.tls)
	}
	c.use(conn)
	s.mu.Lock()
	s.tries++
	if len(s.faults) > 0 {
		c.fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	c.say("220 mailtest ESMTP")
	for {
		line, err := c.in.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		if !c.answer(strings.ToUpper(verb), rest) {
			return
		}
	}
}

func (c *conversation) use(conn net.Conn) {
	c.conn, c.in = conn, textproto.NewReader(bufio.NewReader(conn))
}

func (c *conversation) say(text string) { fmt.Fprintf(c.conn, "%s\r\n", text) }

// goesWrong plays the fault, if it is one of this command.
func (c *conversation) goesWrong(at string) (wrong bool) {
	if c.fault.At != at {
		return false
	}
	if !c.fault.Close {
		c.say(c.fault.Reply)
	}
	return true
}

// answer answers a command; it reports false when the conversation is over.
func (c *conversation) answer(verb, rest string) bool {
	if c.goesWrong(verb) {
		return !c.fault.Close
	}
	switch verb {
	case "EHLO":
		c.hello()
	case "STARTTLS":
		c.say("220 go ahead")
		c.use(tls.Server(c.conn, c.tls))
		c.encrypted = true
	case "AUTH":
		c.signIn(strings.TrimPrefix(rest, "PLAIN "))
	case "MAIL":
		c.from = between(rest)
		c.demand("250 fine")
	case "RCPT":
		c.to = between(rest)
		c.demand("250 fine")
	case "DATA":
		c.say("354 go ahead")
		return c.take()
	case "QUIT":
		c.say("221 bye")
		return false
	default:
		c.say("500 what?")
	}
	return true
}

func (c *conversation) hello() {
	lines := []string{"mailtest", "8BITMIME", "SMTPUTF8"}
	if !c.encrypted && !c.opts.NoTLS {
		lines = append(lines, "STARTTLS")
	}
	if c.opts.User != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	for i, line := range lines {
		c.say("250" + map[bool]string{true: " ", false: "-"}[i == len(lines)-1] + line)
	}
}

func (c *conversation) signIn(secret string) {
	want := base64.StdEncoding.EncodeToString([]byte("\x00" + c.opts.User + "\x00" + c.opts.Password))
	if c.signedIn = secret == want && c.encrypted; !c.signedIn {
		c.say("535 no")
		return
	}
	c.say("235 welcome")
}

func (c *conversation) demand(reply string) {
	if !c.signedIn {
		reply = "530 sign in first"
	}
	c.say(reply)
}

// take reads the e-mail.
func (c *conversation) take() bool {
	raw, err := io.ReadAll(c.in.DotReader())
	if err != nil {
		return false
	}
	m := Mail{From: c.from, To: c.to, Encrypted: c.encrypted, Raw: raw}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		c.say("554 that is no e-mail")
		return true
	}
	m.Header = parsed.Header
	if m.Body, err = io.ReadAll(parsed.Body); err != nil {
		return false
	}
	wrong := c.fault.At == "."
	if !wrong || c.fault.Keep {
		c.mu.Lock()
		c.mails = append(c.mails, m)
		c.mu.Unlock()
	}
	if wrong {
		c.goesWrong(".")
		return !c.fault.Close
	}
	c.say("250 taken")
	return true
}

func between(text string) string {
	_, rest, _ := strings.Cut(text, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}
