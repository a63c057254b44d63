package config

import "log/slog"

const redacted = "[redacted]"

// Secret is text that must not be seen: printing, logging and marshalling it
// gives "[redacted]". Convert it to a string where it is used.
type Secret string

// String returns "[redacted]", or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return "config.Secret(" + s.String() + ")" }

// LogValue keeps slog from showing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps JSON, YAML and everything else that knows text from
// showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
