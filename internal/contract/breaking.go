package contract

import "google.golang.org/protobuf/reflect/protoregistry"

// Breaking returns what in new breaks those who use old: programs with old
// messages on the wire or in stores, callers of its methods, clients of its
// routes.
func Breaking(old, new *protoregistry.Files) Problems {
	return nil
}
