package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Attributes that every line of a service has; they say nothing beside the
// instance's name.
const constant = " service instance version environment "

// readable is a structured log line for a person: time, level, message and
// the rest as key=value. What is no such line stays as it is.
func readable(text string) string {
	if line, ok := structured(text); ok {
		return line
	}
	return plain(text)
}

func structured(text string) (line string, ok bool) {
	if !strings.HasPrefix(text, "{") {
		return "", false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return "", false
	}
	known := map[string]string{}
	var rest strings.Builder
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return "", false
		}
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return "", false
		}
		switch {
		case name == "time" || name == "level" || name == "msg":
			known[name] = unquoted(raw)
		case strings.Contains(constant, " "+name+" ") || string(raw) == `""`:
		default:
			rest.WriteString(" " + plain(name) + "=" + brief(raw))
		}
	}
	at, err := time.Parse(time.RFC3339Nano, known["time"])
	if err != nil {
		return "", false
	}
	return at.Local().Format("15:04:05.000") + " " + known["level"] + " " + known["msg"] + rest.String(), true
}

func unquoted(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return plain(string(raw))
	}
	return plain(s) // who wrote the line escaped what this takes out of its quotes
}

// brief is a value without the quotes that it does not need; one of several
// lines stands below the line.
func brief(raw json.RawMessage) string {
	if !bytes.HasPrefix(raw, []byte(`"`)) {
		return plain(string(raw))
	}
	s := unquoted(raw)
	if strings.Contains(s, "\n") {
		return "\n    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
	}
	if strings.ContainsAny(s, " \t\"=") {
		return strconv.Quote(s)
	}
	return s
}
