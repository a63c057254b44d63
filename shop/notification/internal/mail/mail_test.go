package mail

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gowarren/warren/shop/notification/internal/mail/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hello() Message {
	return Message{
		ID: "abc123", From: "Shop <shop@example.com>", To: "zoe@example.com", Name: "Zoë, \"the\" Buyer", Subject: "Your order – 12 €",
		Text: "Hello Zoë,\n.\nthis line begins with a dot.\n" + strings.Repeat("long ", 300), HTML: "<p>Hello Zoë</p>",
		Date: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func send(t *testing.T, address string, m Message) error {
	t.Helper()
	s, err := Open(address)
	if err != nil {
		t.Fatal(err)
	}
	return s(t.Context(), m)
}

func TestSending(t *testing.T) {
	for name, test := range map[string]struct {
		opts      mailtest.Options
		user      string
		params    string
		encrypted bool
	}{
		"STARTTLS with a password": {mailtest.Options{User: "shop", Password: "p&ss:w/rd"}, "shop:p%26ss%3Aw%2Frd@", "", true},
		"TLS from the first byte":  {mailtest.Options{Implicit: true, User: "shop", Password: "secret"}, "shop:secret@", "", true},
		"STARTTLS as it is there":  {mailtest.Options{}, "", "", true},
		"in the clear":             {mailtest.Options{NoTLS: true}, "", "", false},
		"in the clear by wish":     {mailtest.Options{}, "", "&tls=off", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.New(t, test.opts)
			address := strings.Replace(server.URL, "://", "://"+test.user, 1) + "?ca=" + server.CA + test.params
			if err := send(t, address, hello()); err != nil {
				t.Fatal(err)
			}
			mails := server.Mails()
			if len(mails) != 1 {
				t.Fatalf("%d e-mails", len(mails))
			}
			got := mails[0]
			if got.From != "shop@example.com" || got.To != "zoe@example.com" || got.Encrypted != test.encrypted {
				t.Errorf("from %s to %s, encrypted %v", got.From, got.To, got.Encrypted)
			}
			arrived(t, got)
		})
	}
}

// arrived checks that an e-mail says what it was meant to.
func arrived(t *testing.T, got mailtest.Mail) {
	t.Helper()
	decoder := new(mime.WordDecoder)
	subject, err := decoder.DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != hello().Subject {
		t.Errorf("subject: %q, %v", subject, err)
	}
	if to, err := got.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Name != hello().Name || to[0].Address != hello().To {
		t.Errorf("to: %v, %v", to, err)
	}
	if id := got.Header.Get("Message-ID"); id != "<abc123@example.com>" {
		t.Errorf("id: %s", id)
	}
	_, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(strings.NewReader(string(got.Body)), params["boundary"])
	for _, want := range []string{hello().Text, hello().HTML} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p)
		if err != nil || strings.ReplaceAll(string(text), "\r\n", "\n") != want {
			t.Errorf("part: %q, %v", text, err)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault   mailtest.Fault
		refused bool
	}{
		"busy":                     {mailtest.Fault{At: "RCPT", Reply: "451 later"}, false},
		"no such user":             {mailtest.Fault{At: "RCPT", Reply: "550 nobody"}, true},
		"sender not allowed":       {mailtest.Fault{At: "MAIL", Reply: "553 no"}, true},
		"too large":                {mailtest.Fault{At: ".", Reply: "552 too large"}, true},
		"no space":                 {mailtest.Fault{At: ".", Reply: "452 no space"}, false},
		"hangs up":                 {mailtest.Fault{At: "DATA", Close: true}, false},
		"hangs up with the e-mail": {mailtest.Fault{At: ".", Close: true, Keep: true}, false},
		"does not greet":           {mailtest.Fault{At: "EHLO", Close: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.New(t, mailtest.Options{})
			server.Fail(test.fault)
			if err := send(t, server.URL+"?ca="+server.CA, hello()); err == nil || errors.Is(err, ErrRefused) != test.refused {
				t.Errorf("%v", err)
			}
			if err := send(t, server.URL+"?ca="+server.CA, hello()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestWhatIsNotSaidInTheClear(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{NoTLS: true, User: "shop", Password: "secret"})
	for _, address := range []string{
		strings.Replace(server.URL, "://", "://shop:secret@", 1),
		server.URL + "?tls=required",
	} {
		if err := send(t, address, hello()); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	secure := mailtest.New(t, mailtest.Options{Implicit: true})
	if err := send(t, secure.URL, hello()); err == nil { // who signed its certificate is unknown
		t.Error("a server of an unknown signer is believed")
	}
	wrong := mailtest.New(t, mailtest.Options{User: "shop", Password: "secret"})
	err := send(t, strings.Replace(wrong.URL, "://", "://shop:other@", 1)+"?ca="+wrong.CA, hello())
	if err == nil || errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "other@") {
		t.Errorf("a wrong password is the e-mail's fault: %v", err)
	}
	if n := len(server.Mails()) + len(secure.Mails()) + len(wrong.Mails()); n != 0 {
		t.Errorf("%d e-mails", n)
	}
}

func TestAServerThatSaysNothing(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s, err := Open("smtp://" + silent.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s(ctx, hello()); err == nil {
		t.Error("sent to nobody")
	}
}

func TestHeadersAreNotAdded(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	m := hello()
	m.Subject, m.Name, m.ID = "Hi\r\nBcc: all@example.com", "Zoë\r\nBcc: all@example.com", "id\r\nBcc: all@example.com"
	if err := send(t, server.URL+"?ca="+server.CA, m); err != nil {
		t.Fatal(err)
	}
	if got := server.Mails()[0].Header.Get("Bcc"); got != "" {
		t.Errorf("a header was added: %s", got)
	}
	for _, to := range []string{"zoe@example.com>\r\nRCPT TO:<all@example.com", "no address", ""} {
		m.To = to
		if err := send(t, server.URL+"?ca="+server.CA, m); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	for range 2 {
		if err := send(t, "file:"+dir, hello()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(text), "Subject: =?utf-8?q?Your") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	for _, address := range []string{
		"", "mail.example.com", "imap://host", "smtp://", "smtp://host/path", "smtp://host?tls=maybe", "smtp://host?retries=3",
		"smtps://host?tls=off", "smtp://user:secret@host?tls=off", "smtp://host?ca=/nowhere", "file:", "file:/a?b=c", "smtp://us er:secret@host",
	} {
		if _, err := Open(address); err == nil || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
