package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"net/url"
	"os"
	"time"
)

// server is a mail server that takes e-mails over SMTP.
type server struct {
	host, port, hello string
	implicit          bool // TLS from the first byte
	encrypt           encryption
	tls               *tls.Config
	user, password    string
}

// encryption says when STARTTLS is used.
type encryption string

const (
	offered  encryption = ""
	required encryption = "required"
	off      encryption = "off"
)

// patience bounds a conversation whose context has no end.
const patience = time.Minute

func openSMTP(u *url.URL) (Sender, error) {
	s := &server{
		host: u.Hostname(), implicit: u.Scheme == "smtps", hello: "localhost",
		port: cmp.Or(u.Port(), map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]),
		tls:  &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12},
	}
	if s.host == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("mail server: write smtp://user:password@host:port")
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
		s.encrypt = required // a password never travels in the clear
	}
	for name, values := range u.Query() {
		if err := s.set(name, values[len(values)-1]); err != nil {
			return nil, fmt.Errorf("mail server: %w", err)
		}
	}
	if s.user != "" && s.encrypt == off && !s.implicit {
		return nil, errors.New("mail server: tls=off would send the password in the clear")
	}
	return s.send, nil
}

func (s *server) set(name, value string) error {
	switch {
	case name == "tls" && (value == string(required) || value == string(off) && !s.implicit):
		s.encrypt = encryption(value)
	case name == "hello" && value != "":
		s.hello = value
	case name == "ca":
		text, err := os.ReadFile(value)
		if err != nil {
			return fmt.Errorf("parameter ca: %w", err)
		}
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("parameter ca: no certificate is in %s", value)
		}
	default:
		return fmt.Errorf("there is no parameter %s=%s; there are tls=required, tls=off, hello and ca", name, value)
	}
	return nil
}

// send hands the e-mail to the server.
func (s *server) send(ctx context.Context, m Message) error {
	from, to, text, err := m.encode()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	// The end of the context ends whatever is being waited for.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	c, err := s.meet(conn)
	if err != nil {
		return fmt.Errorf("greet the mail server: %w", err)
	}
	if err := hand(c, from, to, text); err != nil {
		return fmt.Errorf("hand e-mail to the mail server: %w", refusal(err))
	}
	_ = c.Quit() // it has the e-mail
	return nil
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	address := net.JoinHostPort(s.host, s.port)
	if s.implicit {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

// meet greets the server, encrypts and signs in. What goes wrong here is no
// fault of the e-mail.
func (s *server) meet(conn net.Conn) (*smtp.Client, error) {
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return nil, err
	}
	if err := c.Hello(s.hello); err != nil {
		return nil, err
	}
	if !s.implicit && s.encrypt != off {
		has, _ := c.Extension("STARTTLS")
		if !has && s.encrypt == required {
			return nil, errors.New("it offers no STARTTLS, and is not told anything in the clear")
		}
		if has {
			if err := c.StartTLS(s.tls); err != nil {
				return nil, err
			}
		}
	}
	if s.user == "" {
		return c, nil
	}
	return c, c.Auth(smtp.PlainAuth("", s.user, s.password, s.host))
}

func hand(c *smtp.Client, from, to string, text []byte) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.Close() // here the server says whether it has it
}

// refusal tells a final no (5xx) from one for now (4xx).
func refusal(err error) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code >= 500 {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
