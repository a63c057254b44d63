package contract

import "google.golang.org/protobuf/reflect/protoreflect"

// Check returns what is wrong with the contracts of the files given, alone
// and together.
func Check(files ...protoreflect.FileDescriptor) Problems {
	r := &reader{routes: map[string]*Method{}}
	for _, fd := range files {
		for i := range fd.Services().Len() {
			r.service(fd.Services().Get(i))
		}
	}
	r.problems.sort()
	return r.problems
}
