package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/gowarren/warren/internal/console/frame"
	"github.com/gowarren/warren/internal/wholefile"
)

// Tokens is the file of those who may sign in. It holds no token, only what
// recognises one, so whoever reads it can't sign in.
type Tokens struct{ Path string }

// Token is somebody who may sign in.
type Token struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	SHA256  string    `json:"sha256"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// List returns who may sign in, and may have been able to.
func (t Tokens) List() ([]Token, error) {
	data, err := os.ReadFile(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Token
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("read the console's tokens: %w", err)
	}
	return out, nil
}

// Add makes a token for somebody, in place of the one that they had, and
// returns it. It can't be read again.
func (t Tokens) Add(name, role string, valid time.Duration) (string, error) {
	if _, ok := frame.ParseRole(role); !ok {
		return "", fmt.Errorf("add a token: there is no role %q; there are viewer, operator, admin", role)
	}
	if name == "" || valid <= 0 {
		return "", errors.New("add a token: it needs a name, and a time for which it is valid")
	}
	all, err := t.without(name)
	if err != nil {
		return "", err
	}
	secret := "warren-" + rand.Text() + rand.Text()
	now := time.Now().UTC().Truncate(time.Second)
	all = append(all, Token{Name: name, Role: role, SHA256: sum(secret), Created: now, Expires: now.Add(valid)})
	return secret, t.write(all)
}

// Remove takes the token of somebody away, and with it the sessions that it
// began.
func (t Tokens) Remove(name string) error {
	before, err := t.List()
	if err != nil {
		return err
	}
	after, err := t.without(name)
	if err == nil && len(after) == len(before) {
		err = fmt.Errorf("remove a token: nobody is called %s", name)
	}
	if err != nil {
		return err
	}
	return t.write(after)
}

func (t Tokens) without(name string) ([]Token, error) {
	all, err := t.List()
	return slices.DeleteFunc(all, func(one Token) bool { return one.Name == name }), err
}

func (t Tokens) write(all []Token) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := wholefile.Write(t.Path, data); err != nil {
		return fmt.Errorf("write the console's tokens: %w", err)
	}
	return nil
}

// check tells to whom a token belongs. All are compared, whichever fits.
func (t Tokens) check(token string) (frame.Caller, bool) {
	all, err := t.List()
	if err != nil {
		return frame.Caller{}, false
	}
	given := sum(token)
	var found frame.Caller
	ok := false
	for _, one := range all {
		role, known := frame.ParseRole(one.Role)
		if subtle.ConstantTimeCompare([]byte(one.SHA256), []byte(given)) == 1 && known && time.Now().Before(one.Expires) {
			found, ok = frame.Caller{Name: one.Name, Role: role, Key: one.SHA256}, true
		}
	}
	return found, ok
}

// still tells whether a token is there yet, with what it allowed.
func (t Tokens) still(caller frame.Caller) bool {
	all, err := t.List()
	return err == nil && slices.ContainsFunc(all, func(one Token) bool {
		return one.SHA256 == caller.Key && one.Role == caller.Role.String() && time.Now().Before(one.Expires)
	})
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}
