package supervisor

import (
	"path/filepath"
	"strings"

	"github.com/gowarren/warren/internal/console"
	"github.com/gowarren/warren/internal/fleet"
)

// NoConsole as Options.Console is a system without one.
const NoConsole = "off"

// openConsole serves the console, which asks the control socket as any command
// does. A console that has no place by default is no reason not to run.
func (s *Supervisor) openConsole() error {
	address := s.opts.Console
	if address == "" {
		address = s.system.Console.Address
	}
	if address == NoConsole || address == "" {
		return nil
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address // what is open to the network is so by an explicit address
	}
	conn, err := Dial(s.data.dir)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, conn.Close)
	c, unopened := console.Open(console.Options{
		API: conn, Address: address, Caller: s.opts.Author, Tokens: ConsoleTokens(s.data.dir),
		Version: s.opts.Version, Logger: s.log,
	})
	switch {
	case unopened != nil && s.opts.Console != "":
		return unopened
	case unopened != nil:
		s.event(fleet.Event{Kind: "no_console", Instance: "console", Message: unopened.Error()})
		return nil //nolint:nilerr // it is said, and the system runs without
	}
	s.console.Store(c)
	s.closers = append(s.closers, c.Close)
	return nil
}

// ConsoleTokens is the file of those who may sign in to the console of the
// system in a data folder.
func ConsoleTokens(data string) string { return filepath.Join(data, "console-tokens.json") }
