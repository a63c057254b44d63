// Package protogen turns contracts into Go: it compiles .proto files in
// process and runs the protobuf generators as local plugins, so that nothing
// but Go is needed and nothing is downloaded.
package protogen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	// Linked so that contracts can import them without a copy on disk.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	_ "github.com/gowarren/warren/api/warren/v1"
)

// Plugin is a generator that speaks the protoc plugin protocol.
type Plugin struct {
	Command   []string // program and arguments, e.g. {"go", "tool", "protoc-gen-go"}
	Parameter string   // what protoc would pass after --x_opt=
}

// Compile parses and links every .proto file below the roots. Imports are
// found below the roots, then among the contracts linked into this program.
func Compile(ctx context.Context, roots ...string) ([]protoreflect.FileDescriptor, error) {
	var names []string
	for _, root := range roots {
		found, err := protoFiles(root)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: roots},
			protocompile.ResolverFunc(linked),
		},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile contracts: %w", err)
	}
	out := make([]protoreflect.FileDescriptor, len(files))
	for i, f := range files {
		out[i] = f
	}
	return out, nil
}

func protoFiles(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".proto" {
			return err
		}
		rel, err := filepath.Rel(root, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list contracts below %s: %w", root, err)
	}
	return names, nil
}

func linked(path string) (protocompile.SearchResult, error) {
	fd, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}
	return protocompile.SearchResult{Proto: protodesc.ToFileDescriptorProto(fd)}, nil
}

// Generate compiles the contracts below root and returns what the plugins
// print for them, by path relative to root.
func Generate(ctx context.Context, root string, plugins []Plugin) (map[string][]byte, error) {
	files, err := Compile(ctx, root)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, p := range plugins {
		resp, err := p.run(ctx, request(files, p.Parameter))
		if err != nil {
			return nil, err
		}
		for _, f := range resp.GetFile() {
			out[f.GetName()] = []byte(f.GetContent())
		}
	}
	return out, nil
}

// Write stores generated files below root; files that are already right keep
// their time stamp.
func Write(root string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("write generated code: %w", err)
		}
	}
	return nil
}

func request(files []protoreflect.FileDescriptor, parameter string) *pluginpb.CodeGeneratorRequest {
	req := &pluginpb.CodeGeneratorRequest{Parameter: proto.String(parameter)}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			add(fd.Imports().Get(i).FileDescriptor)
		}
		req.ProtoFile = append(req.ProtoFile, toProto(fd))
	}
	for _, fd := range files {
		add(fd)
		req.FileToGenerate = append(req.FileToGenerate, fd.Path())
	}
	return req
}

func toProto(fd protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	return protoutil.ProtoFromFileDescriptor(fd)
}

func (p Plugin) run(ctx context.Context, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	name := strings.Join(p.Command, " ")
	in, err := proto.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	resp := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(stdout.Bytes(), resp); err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	if msg := resp.GetError(); msg != "" {
		return nil, fmt.Errorf("run %s: %w", name, errors.New(msg))
	}
	return resp, nil
}

// GoPlugins returns the generators of Go code, run as tools of the module in
// the working folder.
func GoPlugins() []Plugin {
	const paths = "paths=source_relative"
	return []Plugin{
		{Command: []string{"go", "tool", "protoc-gen-go"}, Parameter: paths},
		{Command: []string{"go", "tool", "protoc-gen-go-grpc"}, Parameter: paths},
	}
}
