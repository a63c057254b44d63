package transcode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// position finds where protojson stopped: "(line 3:14): ".
var position = regexp.MustCompile(`\(line (\d+):(\d+)\):?\s*`)

// jsonError turns an error of protojson into one that names the field as the
// client wrote it. protojson names the last name at most, but also the place;
// from the place comes the whole path.
func jsonError(err error, body []byte, at string) error {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	loc := position.FindStringSubmatchIndex(text)
	if loc == nil && strings.Contains(text, "EOF") {
		return badRequest("", "the body is not valid JSON: it ends too early")
	}
	if loc == nil {
		return badRequest(at, text)
	}
	line, _ := strconv.Atoi(text[loc[2]:loc[3]])
	column, _ := strconv.Atoi(text[loc[4]:loc[5]])
	description := text[loc[1]:]
	syntax := strings.HasPrefix(text, "syntax error")
	if syntax && !json.Valid(body) {
		return badRequest("", fmt.Sprintf("the body is not valid JSON: line %d, column %d: %s", line, column, description))
	}
	path := pathAt(body, offset(body, line, column))
	field := strings.Trim(at+"."+path, ".")
	switch {
	case syntax && path == "" && KindOf(body) != anObject:
		return badRequest(at, "the body must be an object, such as {}, and is "+KindOf(body))
	case syntax:
		return badRequest(field, "has the wrong shape: "+description)
	}
	return badRequest(field, description)
}

// anObject is what almost every body has to be.
const anObject = "an object"

// KindOf names what a JSON text is.
func KindOf(doc []byte) string {
	doc = bytes.TrimSpace(doc)
	if len(doc) == 0 {
		return "empty"
	}
	switch doc[0] {
	case '{':
		return anObject
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	}
	return "a number"
}

// offset turns a line and a column, counted from one in characters, into
// bytes.
func offset(doc []byte, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(doc[at:], '\n')
		if next < 0 {
			return at
		}
		at += next + 1
	}
	for ; column > 1 && at < len(doc); column-- {
		_, size := utf8.DecodeRune(doc[at:])
		at += size
	}
	return at
}

// level is one object or list that is open while a document is read.
type level struct {
	list    bool
	index   int    // in a list: of the value that comes next
	name    string // in an object: of the member
	inValue bool   // in an object: the name was read, its value comes
}

// pathAt returns the path of what stands at the offset: "items[2].price".
func pathAt(doc []byte, offset int) string {
	dec := json.NewDecoder(bytes.NewReader(doc))
	var open []level
	for {
		token, err := dec.Token()
		top := len(open) - 1
		if name, ok := token.(string); ok && top >= 0 && !open[top].list && !open[top].inValue {
			open[top].name, open[top].inValue = name, true
			if dec.InputOffset() > int64(offset) {
				return pathOf(open)
			}
			continue
		}
		if err != nil || dec.InputOffset() > int64(offset) {
			return pathOf(open)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			open = append(open, level{list: token == json.Delim('[')})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
			top--
		}
		if top < 0 {
			return ""
		}
		open[top].index++
		open[top].inValue, open[top].name = false, ""
	}
}

func pathOf(open []level) string {
	var b strings.Builder
	for _, l := range open {
		switch {
		case l.list:
			fmt.Fprintf(&b, "[%d]", l.index)
		case l.name == "":
		case b.Len() > 0:
			b.WriteString("." + l.name)
		default:
			b.WriteString(l.name)
		}
	}
	return b.String()
}
