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
	"regexp"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// Plugin is a generator that speaks the protoc plugin protocol.
type Plugin struct {
	Command   []string // program and arguments, e.g. {"go", "tool", "protoc-gen-go"}
	Parameter string   // what protoc would pass after --x_opt=
	Dir       string   // where it runs; empty: the working folder
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

// Generate compiles the contracts below the roots and returns what the
// plugins print for them: the content of files beside the contracts, by path.
func Generate(ctx context.Context, plugins []Plugin, roots ...string) (map[string][]byte, error) {
	owners, err := protoFiles(roots)
	if err != nil {
		return nil, err
	}
	if len(owners) == 0 {
		return nil, fmt.Errorf("generate: no .proto file below %s", strings.Join(roots, ", "))
	}
	files, err := Compile(ctx, roots...)
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
			out[beside(owners, f.GetName())] = documented(f.GetName(), f.GetContent())
		}
	}
	return out, nil
}

// beside returns the path of a generated file. Generators call it after its
// contract: "a/b.proto" becomes "a/b.pb.go", "a/b_grpc.pb.go" and so on. Where a
// contract is named like a file made for another one, the longer name is meant.
func beside(owners map[string]string, generated string) string {
	var longest, owner string
	for name, root := range owners {
		stem := strings.TrimSuffix(name, ".proto")
		rest, ok := strings.CutPrefix(generated, stem)
		if ok && rest != "" && (rest[0] == '.' || rest[0] == '_') && len(stem) > len(longest) {
			longest, owner = stem, root
		}
	}
	return filepath.Join(owner, filepath.FromSlash(generated))
}

var packageComment = regexp.MustCompile(`\n// Package \S+ ((?:.*\n)(?://.*\n)*)\npackage (\w+)\n`)

// documented makes the comment on a contract's package the comment of the Go
// package: protoc-gen-go leaves a blank line between the two. The services'
// files repeat the comment and keep it apart, for a package has one.
func documented(path, content string) []byte {
	if strings.HasSuffix(path, "_grpc.pb.go") {
		return []byte(content)
	}
	return []byte(packageComment.ReplaceAllString(content, "\n// Package $2 ${1}package $2\n"))
}

// Write stores generated files; those that are already right keep their time
// stamp.
func Write(files map[string][]byte) error {
	for _, path := range sortedKeys(files) {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, files[path]) {
			continue
		}
		if err := os.WriteFile(path, files[path], 0o644); err != nil {
			return fmt.Errorf("write generated code: %w", err)
		}
	}
	return nil
}

// Diff returns one line for each generated file below the roots that is
// missing, differs from the files given, or has lost its contract.
func Diff(files map[string][]byte, roots ...string) ([]string, error) {
	var lines []string
	for _, path := range sortedKeys(files) {
		old, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			lines = append(lines, path+": is missing")
		case err != nil:
			return nil, fmt.Errorf("compare generated code: %w", err)
		case !bytes.Equal(old, files[path]):
			lines = append(lines, path+": is not what its contract generates")
		}
	}
	stale, err := staleFiles(files, roots)
	return append(lines, stale...), err
}

func staleFiles(files map[string][]byte, roots []string) ([]string, error) {
	var lines []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".pb.go") {
				return err
			}
			if _, ok := files[filepath.Clean(path)]; !ok {
				lines = append(lines, path+": is stale, its contract is gone")
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("compare generated code: %w", err)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

func request(files []protoreflect.FileDescriptor, parameter string) *pluginpb.CodeGeneratorRequest {
	req := &pluginpb.CodeGeneratorRequest{Parameter: new(parameter)}
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
		req.ProtoFile = append(req.ProtoFile, protoutil.ProtoFromFileDescriptor(fd))
	}
	for _, fd := range files {
		add(fd)
		req.FileToGenerate = append(req.FileToGenerate, fd.Path())
	}
	return req
}

func (p Plugin) run(ctx context.Context, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	name := strings.Join(p.Command, " ")
	in, err := proto.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Dir, bytes.NewReader(in), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	resp := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(stdout.Bytes(), resp); err != nil {
		return nil, fmt.Errorf("run %s: read its answer: %w", name, err)
	}
	if msg := resp.GetError(); msg != "" {
		return nil, fmt.Errorf("run %s: %w", name, errors.New(msg))
	}
	return resp, nil
}
