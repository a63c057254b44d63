package transcode

import "strings"

// Violation names a field of a request and says what is wrong with it.
type Violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// BadRequest is a request that does not fit its contract.
type BadRequest struct {
	Violations []Violation
}

// Error lists the violations.
func (e *BadRequest) Error() string {
	texts := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		texts[i] = strings.TrimPrefix(v.Field+": "+v.Description, ": ")
	}
	return strings.Join(texts, "; ")
}

// most bounds how many violations one answer lists.
const most = 20

func (e *BadRequest) add(field, description string) {
	if len(e.Violations) < most {
		e.Violations = append(e.Violations, Violation{Field: clip(field), Description: description})
	}
}

func (e *BadRequest) errOrNil() error {
	if len(e.Violations) == 0 {
		return nil
	}
	return e
}

func badRequest(field, description string) error {
	return &BadRequest{Violations: []Violation{{Field: clip(field), Description: description}}}
}

// clip keeps what a client made up from filling answers and logs.
func clip(text string) string {
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
