package scaffold

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gowarren/warren/internal/system"
)

// enter adds the service to the text of the system file, so that comments and
// order stay as their author left them.
func (s *Service) enter(text string) error {
	changed, err := addService(text, s.Name, "./"+s.Dir)
	if err == nil {
		_, err = system.Parse(s.File, []byte(changed), "")
	}
	if err != nil {
		return fmt.Errorf("enter it into %s: %w; write services: on a line of its own, and each service below it: %s: {path: ./%s}", s.File, err, s.Name, s.Dir)
	}
	s.yaml = changed
	return nil
}

// servicesLine begins the block that addService can add to; {} is an empty one.
var servicesLine = regexp.MustCompile(`^services:[ ]*(\{[ ]*\})?[ ]*(#.*)?\r?\n?$`)

// addService inserts an entry at the end of the block "services:".
func addService(text, name, dir string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	start := slices.IndexFunc(lines, servicesLine.MatchString)
	if start < 0 {
		return "", errors.New("found no line that says services: and nothing else")
	}
	if open := strings.IndexByte(lines[start], '{'); open >= 0 {
		shut := strings.IndexByte(lines[start], '}')
		lines[start] = strings.TrimRight(lines[start][:open], " ") + lines[start][shut+1:]
	}
	end, indent := blockEnd(lines, start)
	if last := lines[end-1]; !strings.HasSuffix(last, "\n") {
		lines[end-1] = last + "\n"
	}
	entry := fmt.Sprintf("%s%s: {path: %s}\n", indent, name, dir)
	return strings.Join(lines[:end], "") + entry + strings.Join(lines[end:], ""), nil
}

// blockEnd is the line after the last one of a block, and how the block's
// entries are indented. Blank lines and comments behind it belong to the next.
func blockEnd(lines []string, start int) (end int, indent string) {
	end, indent = start+1, "  "
	for i := start + 1; i < len(lines); i++ {
		line := lines[i]
		body := strings.TrimLeft(line, " ")
		if strings.TrimSpace(body) == "" || strings.HasPrefix(body, "#") {
			continue
		}
		if len(body) == len(line) {
			break // the next block
		}
		if end == start+1 {
			indent = line[:len(line)-len(body)]
		}
		end = i + 1
	}
	return end, indent
}
