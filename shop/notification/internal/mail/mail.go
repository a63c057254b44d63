// Package mail sends e-mails: over SMTP, or into a folder where no mail server
// is at hand.
//
//	smtp://user:password@mail.example.com:587    STARTTLS where it is offered, always where there is a password
//	smtps://user:password@mail.example.com:465   TLS from the first byte
//	file:/var/spool/shop                         one file per e-mail
//
// Both SMTP schemes take tls=required or, for smtp, tls=off; hello, the name
// that this host introduces itself with; and ca, a file with the certificates of
// who signed the server's.
package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrRefused says that the server refuses an e-mail for good.
var ErrRefused = errors.New("e-mail is refused")

// Sender sends an e-mail. An error that is not ErrRefused leaves open whether it
// was sent.
type Sender func(ctx context.Context, m Message) error

// Message is an e-mail.
type Message struct {
	// ID is the same whenever the e-mail is sent again: it becomes the local part
	// of the Message-ID, by which servers and readers know duplicates.
	ID string
	// From is the sender: "Shop <shop@example.com>".
	From string
	// To is an address, and Name whose it is.
	To, Name string
	Subject  string
	Text     string
	HTML     string
	Date     time.Time
}

// Open returns the sender of a URL.
func Open(address string) (Sender, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the URL of the mail server can't be read") // the error of url.Parse shows the password
	}
	switch u.Scheme {
	case "smtp", "smtps":
		return openSMTP(u)
	case "file":
		return openFolder(u)
	}
	return nil, fmt.Errorf("mail server: there is no scheme %q; there are smtp, smtps and file", u.Scheme)
}

// encode writes the e-mail as it travels: plain text and HTML side by side.
func (m Message) encode() (from, to string, text []byte, err error) {
	sender, err := mail.ParseAddress(m.From)
	if err != nil {
		return "", "", nil, fmt.Errorf("sender's address: %w", err)
	}
	if _, err := mail.ParseAddress(m.To); err != nil || strings.ContainsAny(m.To, "\r\n<>") {
		return "", "", nil, fmt.Errorf("%w: the recipient's address is none", ErrRefused)
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, h := range [][2]string{
		{"From", sender.String()},
		{"To", (&mail.Address{Name: oneLine(m.Name), Address: m.To}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(m.Subject))},
		{"Date", m.Date.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + oneLine(m.ID) + "@" + domain + ">"},
		{"MIME-Version", "1.0"},
		{"Auto-Submitted", "auto-generated"},
		{"Content-Type", "multipart/alternative; boundary=" + parts.Boundary()},
	} {
		fmt.Fprintf(&body, "%s: %s\r\n", h[0], h[1])
	}
	body.WriteString("\r\n")
	for _, p := range [][2]string{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		if err := addPart(parts, p[0], p[1]); err != nil {
			return "", "", nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return "", "", nil, err
	}
	return sender.Address, m.To, body.Bytes(), nil
}

func addPart(parts *multipart.Writer, kind, text string) error {
	w, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Type": {kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
	})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(w)
	if _, err := q.Write([]byte(text)); err != nil {
		return err
	}
	return q.Close()
}

// oneLine keeps a value from adding headers of its own.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// folder keeps e-mails as files.
type folder struct{ dir string }

func openFolder(u *url.URL) (Sender, error) {
	dir := u.Path + u.Opaque
	if dir == "" || u.RawQuery != "" || u.Host != "" {
		return nil, errors.New("mail folder: write file:/path or file:path")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail folder: %w", err)
	}
	return folder{dir}.send, nil
}

// send writes the e-mail as a file of its id: sent twice it is one.
func (f folder) send(_ context.Context, m Message) error {
	_, _, text, err := m.encode()
	if err != nil {
		return err
	}
	path := filepath.Join(f.dir, filepath.Base(oneLine(m.ID))+".eml")
	part := path + "." + rand.Text()
	if err := errors.Join(os.WriteFile(part, text, 0o600), os.Rename(part, path)); err != nil {
		return fmt.Errorf("write e-mail: %w", err)
	}
	return nil
}
