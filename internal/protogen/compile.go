// Package protogen turns contracts into Go: it compiles .proto files in
// process and runs the protobuf generators as local plugins, so that nothing
// but Go is needed and nothing is downloaded.
package protogen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Linked so that contracts can import them without a copy on disk.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"

	_ "github.com/gowarren/warren/api/warren/v1" // linked as those above
)

// Compile parses and links every .proto file below the roots, in the order of
// their names. Imports are found below the roots, then among the contracts
// linked into this program. The error joins one reporter.ErrorWithPos for
// each thing that is wrong.
func Compile(ctx context.Context, roots ...string) ([]protoreflect.FileDescriptor, error) {
	owners, err := protoFiles(roots)
	if err != nil {
		return nil, err
	}
	return compile(ctx, &protocompile.SourceResolver{ImportPaths: roots}, sortedKeys(owners))
}

// CompileSources is Compile for sources held in memory, by import path.
func CompileSources(ctx context.Context, sources map[string]string) ([]protoreflect.FileDescriptor, error) {
	accessor := protocompile.SourceAccessorFromMap(sources)
	return compile(ctx, &protocompile.SourceResolver{Accessor: accessor}, sortedKeys(sources))
}

func compile(ctx context.Context, sources protocompile.Resolver, names []string) ([]protoreflect.FileDescriptor, error) {
	var wrong []error
	collect := func(err reporter.ErrorWithPos) error {
		wrong = append(wrong, err)
		return nil
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.CompositeResolver{
			sources,
			protocompile.WithStandardImports(protocompile.ResolverFunc(linked)),
		},
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter:       reporter.NewReporter(collect, nil),
		MaxParallelism: 1, // so that errors come in one order
	}
	files, err := compiler.Compile(ctx, names...)
	if len(wrong) > 0 {
		err = errors.Join(wrong...) // the compiler's own only says that there are some
	}
	if err != nil {
		return nil, fmt.Errorf("compile contracts: %w", err)
	}
	out := make([]protoreflect.FileDescriptor, len(files))
	for i, f := range files {
		out[i] = f
	}
	return out, nil
}

// protoFiles returns the root of every .proto file, by import path.
func protoFiles(roots []string) (map[string]string, error) {
	owners := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".proto" {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(rel)
			if other, ok := owners[name]; ok {
				return fmt.Errorf("%s stands below %s and below %s", name, other, root)
			}
			owners[name] = root
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list contracts below %s: %w", root, err)
		}
	}
	return owners, nil
}

func linked(path string) (protocompile.SearchResult, error) {
	fd, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}
	return protocompile.SearchResult{Proto: protodesc.ToFileDescriptorProto(fd)}, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
