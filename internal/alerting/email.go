package alerting

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// email sends messages by SMTP, encrypted where the server can.
type email struct {
	server, from   string
	to             []string
	user, password string
}

func (w *email) send(ctx context.Context, m message) error {
	host, port, err := net.SplitHostPort(w.server)
	if err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.server)
	if err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // it is a TCP connection, which can
	}
	tcp := conn
	defer context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Now()) })() // who ends does not wait for the server
	const implicitTLS = "465"
	if port == implicitTLS {
		conn = tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	if err := w.talk(c, host, m); err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

func (w *email) talk(c *smtp.Client, host string, m message) error {
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	}
	if w.user != "" {
		// PlainAuth itself refuses to send a password in clear, except to localhost.
		if err := c.Auth(smtp.PlainAuth("", w.user, w.password, host)); err != nil {
			return err
		}
	}
	if err := c.Mail(w.from); err != nil {
		return err
	}
	for _, to := range w.to {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	body, err := c.Data()
	if err != nil {
		return err
	}
	_, err = body.Write(w.text(m))
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	_ = c.Quit() // the server has the mail: one that does not say good-bye is not to get it again and again
	return nil
}

// text is the whole message. Its id lets mail programs drop a repetition.
func (w *email) text(m message) []byte {
	var out bytes.Buffer
	header := func(name, value string) {
		fmt.Fprintf(&out, "%s: %s\r\n", name, strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
	}
	header("From", w.from)
	header("To", strings.Join(w.to, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", subject(m)))
	header("Date", time.Now().Format(time.RFC1123Z))
	header("Message-ID", "<"+m.id+"@"+cmp.Or(m.system, "warren")+".warren>")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	out.WriteString("\r\n")
	body := quotedprintable.NewWriter(&out)
	for _, a := range m.firing {
		describe(body, "FIRING", a)
	}
	for _, a := range m.resolved {
		describe(body, "RESOLVED", a)
	}
	_ = body.Close() // into a buffer
	return out.Bytes()
}

func subject(m message) string {
	state, all := "RESOLVED", m.resolved
	if len(m.firing) > 0 {
		state, all = "FIRING", m.firing
	}
	first := cmp.Or(all[0].Annotations["summary"], all[0].Name)
	if more := len(m.firing) + len(m.resolved) - 1; more > 0 {
		first += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("[%s] %s: %s", m.system, state, first)
}

func describe(to *quotedprintable.Writer, state string, a metricstore.Alert) {
	fmt.Fprintf(to, "%s %s (%s)\r\n%s\r\n%s\r\n", state, a.Name, a.Labels[severityLabel], a.Annotations["summary"], a.Annotations["description"])
	fmt.Fprintf(to, "since %s\r\n", a.Fired.Format(time.RFC3339))
	if page := a.Annotations["runbook_url"]; page != "" {
		fmt.Fprintf(to, "what to do: %s\r\n", page)
	}
	for _, name := range sortedKeys(a.Labels) {
		fmt.Fprintf(to, "  %s=%s\r\n", name, a.Labels[name])
	}
	fmt.Fprint(to, "\r\n")
}
