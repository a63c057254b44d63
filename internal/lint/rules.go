package lint

import (
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gowarren/warren/internal/contract"
)

// rules returns the messages whose validation rules do not compile. A service
// with one of them would not start.
func rules(files []protoreflect.FileDescriptor) contract.Problems {
	var out contract.Problems
	var walk func(protoreflect.MessageDescriptors)
	walk = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			md := messages.Get(i)
			walk(md.Messages())
			if md.IsMapEntry() {
				continue
			}
			err := protovalidate.Validate(dynamicpb.NewMessage(md))
			if broken, ok := errors.AsType[*protovalidate.CompilationError](err); ok {
				out = append(out, contract.At(md, oneLine(broken), "correct its (buf.validate) options"))
			}
		}
	}
	for _, fd := range files {
		walk(fd.Messages())
	}
	return out
}

// oneLine keeps an expression's error, which points at its place below it,
// from breaking a list of problems.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
