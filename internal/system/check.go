package system

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gowarren/warren/internal/openurl"
)

// The errors of checks are remedies: they end a sentence that began with what
// is written.
var (
	errName     = errors.New("use small letters, digits and dashes, beginning with a letter")
	errEmpty    = errors.New("write one")
	errPath     = errors.New("write the service's folder as seen from this file, such as ./catalog")
	errVariable = errors.New("use letters, digits and underscores")
	errReserved = errors.New("WARREN_ is the supervisor's; use settings, engines or auth")
	errAddress  = errors.New("write host:port, or :port for this machine only")
	errKeys     = errors.New(`write "contract:" for the system's own identity service, or the https URL of a JWKS`)
)

var (
	nameForm     = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	placeForm    = regexp.MustCompile(`\{[^{}]*\}`)
)

// plainName accepts what can be a host name, a folder and a key alike.
func plainName(s string) error {
	if !nameForm.MatchString(s) {
		return errName
	}
	return nil
}

func notEmpty(s string) error {
	if s == "" {
		return errEmpty
	}
	return nil
}

func variableName(s string) error {
	if !variableForm.MatchString(s) {
		return errVariable
	}
	if strings.HasPrefix(s, "WARREN_") {
		return errReserved
	}
	return nil
}

func listenAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errAddress
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errAddress
	}
	return nil
}

func withHost(address string) string {
	if strings.HasPrefix(address, ":") {
		return "127.0.0.1" + address
	}
	return address
}

func keysAddress(s string) error {
	if s == "contract:" {
		return nil
	}
	if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errKeys
	}
	return nil
}

// engineAddress accepts "embedded" or a URL. Which schemes are linked is known
// to those who open it.
func engineAddress(s string) error {
	if s == Embedded {
		return nil
	}
	return templateURL(s, "embedded, or a URL such as etcd://host:2379/{system}")
}

func eventsAddress(s string) error {
	if s == Embedded {
		return nil
	}
	return templateURL(s, "embedded, or a URL such as nats://host:4222/{system}")
}

func transactionsAddress(s string) error {
	if s == Embedded {
		return nil
	}
	return templateURL(s, "embedded, or the URL of the coordinator's database, such as postgres://host/coordinator")
}

func embeddedOrOff(s string) error {
	if s == Embedded || s == Off {
		return nil
	}
	return errors.New("write embedded or off")
}

func databaseAddress(s string) error {
	return templateURL(s, "a URL such as sqlite:{data}/{service}.db or postgres://host/{service}")
}

func tracesAddress(s string) error {
	if s == Embedded {
		return nil
	}
	return templateURL(s, "embedded, embedded://127.0.0.1:4317 for a port of its own, or a URL such as otlp://host:4317")
}

// databaseAddresses are those of a service that may have several databases.
func databaseAddresses(s string) error {
	all := strings.Fields(s)
	if len(all) == 0 {
		return databaseAddress(s)
	}
	for _, address := range all {
		if err := databaseAddress(address); err != nil {
			return err
		}
	}
	return nil
}

func templateURL(s, form string) error {
	for _, place := range placeForm.FindAllString(s, -1) {
		if name := strings.Trim(place, "{}"); !slices.Contains(places[:], name) {
			return fmt.Errorf("there is no {%s}; %s", name, DidYouMean(name, places[:]))
		}
	}
	filled := placeForm.ReplaceAllString(s, "x")
	if strings.ContainsAny(filled, "{}") {
		return errors.New("a brace is left open")
	}
	if _, err := openurl.Parse(filled); err != nil {
		return fmt.Errorf("write %s (%w)", form, err)
	}
	return nil
}
