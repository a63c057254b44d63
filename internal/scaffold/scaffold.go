// Package scaffold writes the first version of a service: a contract, its
// generated code, a program and its test, entered into the system file, so
// that it builds, runs and answers at once.
package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/gowarren/warren/internal/protogen"
	"github.com/gowarren/warren/internal/system"
)

//go:embed templates
var templates embed.FS

// Service is the plan of a new service.
type Service struct {
	Name string // "reviews"
	File string // the system file, made if it is not there

	root         string // folder of the Go module and the system file
	System       string
	Dir          string // of the service, below root
	API          string // root of the contracts, below root
	ProtoPackage string // "shop.reviews.v1"
	GoContract   string // import path of the generated code
	Alias        string // "reviewsv1"
	Type         string // "Reviews"
	Upper        string // "REVIEWS"
	Domain       string // "reviews.shop"
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)

// Write writes the service and returns the files that it made. Nothing that
// exists is overwritten.
func Write(ctx context.Context, s Service) ([]string, error) {
	if !nameForm.MatchString(s.Name) {
		return nil, fmt.Errorf("new service %q: want a short name of lower-case letters and digits, such as reviews", s.Name)
	}
	made, err := s.plan(ctx)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		path.Join(s.API, strings.ReplaceAll(s.ProtoPackage, ".", "/"), s.Name+".proto"): "contract.proto.tmpl",
		path.Join(s.Dir, "main.go"):         "main.go.tmpl",
		path.Join(s.Dir, "service.go"):      "service.go.tmpl",
		path.Join(s.Dir, "service_test.go"): "service_test.go.tmpl",
	}
	for name := range files {
		if _, err := os.Stat(filepath.Join(s.root, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("new service %s: %s is already there", s.Name, name)
		}
	}
	for name, tmpl := range files {
		if err := s.write(name, tmpl); err != nil {
			return nil, err
		}
		made = append(made, name)
	}
	generated, err := s.generate(ctx)
	if err != nil {
		return nil, err
	}
	made = append(made, generated...)
	if err := s.enter(); err != nil {
		return nil, err
	}
	return made, nil
}

// plan decides where everything goes: beside the services that are there.
func (s *Service) plan(ctx context.Context) (made []string, err error) {
	s.root = filepath.Dir(s.File)
	module, err := s.module(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.File); errors.Is(err, fs.ErrNotExist) {
		s.System = path.Base(module)
		if err := s.write(filepath.Base(s.File), "warren.yaml.tmpl"); err != nil {
			return nil, err
		}
		made = append(made, filepath.Base(s.File))
	} else {
		sys, err := system.Load(s.File, "")
		if err != nil {
			return nil, err
		}
		if _, ok := sys.Service(s.Name); ok {
			return nil, fmt.Errorf("new service %s: %s has a service of that name", s.Name, s.File)
		}
		s.System, s.Dir = sys.Name, commonParent(sys.Services)
	}
	s.API = path.Join(s.Dir, "api")
	s.Dir = path.Join(s.Dir, s.Name)
	word := strings.ReplaceAll(s.System, "-", "")
	s.ProtoPackage = word + "." + s.Name + ".v1"
	s.GoContract = path.Join(module, s.API, word, s.Name, "v1")
	s.Alias, s.Upper = s.Name+"v1", strings.ToUpper(s.Name)
	s.Type = strings.ToUpper(s.Name[:1]) + s.Name[1:]
	s.Domain = s.Name + "." + s.System
	return made, nil
}

// commonParent is the folder in which the services of a system live.
func commonParent(services []system.Service) string {
	parent := ""
	for i, svc := range services {
		dir := path.Dir(path.Clean(filepath.ToSlash(svc.Path)))
		if i > 0 && dir != parent {
			return ""
		}
		parent = dir
	}
	if parent == "." {
		return ""
	}
	return parent
}

// The generators that turn contracts into Go.
const (
	protogenGo   = "google.golang.org/protobuf/cmd/protoc-gen-go"
	protogenGRPC = "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
)

// module is the path of the Go module around the system file, which must have
// Warren and the generators.
func (s *Service) module(ctx context.Context) (string, error) {
	list := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = s.root
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	module, err := list("list", "-m")
	if err != nil || module == "" || module == "command-line-arguments" {
		return "", fmt.Errorf("new service %s: %s is not in a Go module; begin with: go mod init example.com/myshop", s.Name, s.root)
	}
	tools, err := list("tool")
	if err != nil {
		return "", fmt.Errorf("new service %s: list the module's tools: %w", s.Name, err)
	}
	names := strings.Fields(tools)
	if !slices.Contains(names, protogenGo) || !slices.Contains(names, protogenGRPC) {
		return "", fmt.Errorf("new service %s: the module has no protobuf generators; add them with: "+
			"go get -tool %s %s", s.Name, protogenGo, protogenGRPC)
	}
	return module, nil
}

func (s *Service) write(name, tmpl string) error {
	t, err := template.ParseFS(templates, "templates/"+tmpl)
	if err != nil {
		return fmt.Errorf("new service %s: %w", s.Name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return fmt.Errorf("new service %s: %w", s.Name, err)
	}
	text := out.Bytes()
	if path.Ext(name) == ".go" {
		if text, err = format.Source(text); err != nil {
			return fmt.Errorf("new service %s: %s: %w", s.Name, name, err)
		}
	}
	full := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return fmt.Errorf("new service %s: %w", s.Name, err)
	}
	if err := os.WriteFile(full, text, 0o644); err != nil {
		return fmt.Errorf("new service %s: %w", s.Name, err)
	}
	return nil
}

// generate writes the Go code of the new contract.
func (s *Service) generate(ctx context.Context) ([]string, error) {
	root := filepath.Join(s.root, s.API)
	files, err := protogen.Generate(ctx, protogen.GoPlugins(), root)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(root, filepath.FromSlash(strings.ReplaceAll(s.ProtoPackage, ".", "/")))
	var made []string
	for name := range files {
		if filepath.Dir(name) != own {
			delete(files, name) // what others wrote stays as it is
			continue
		}
		made = append(made, name)
	}
	return made, protogen.Write(files)
}

// enter adds the service to the system file, as text, so that comments and
// order stay as their author left them.
func (s *Service) enter() error {
	text, err := os.ReadFile(s.File)
	if err != nil {
		return fmt.Errorf("enter service %s into the system file: %w", s.Name, err)
	}
	changed, err := addService(string(text), s.Name, "./"+s.Dir)
	if err != nil {
		return fmt.Errorf("enter service %s into %s: %w", s.Name, s.File, err)
	}
	if _, err := system.Parse(s.File, []byte(changed), ""); err != nil {
		return fmt.Errorf("enter service %s: the system file would be wrong; add it by hand: services.%s: {path: ./%s}: %w", s.Name, s.Name, s.Dir, err)
	}
	if err := os.WriteFile(s.File, []byte(changed), 0o644); err != nil {
		return fmt.Errorf("enter service %s into the system file: %w", s.Name, err)
	}
	return nil
}

// addService inserts an entry at the end of the block "services:".
func addService(text, name, dir string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	start := -1
	for i, line := range lines {
		if trimmed := strings.TrimRight(line, " \r\n"); trimmed == "services:" || strings.HasPrefix(line, "services: #") {
			start = i
			break
		}
	}
	if start < 0 {
		return "", fmt.Errorf("found no line \"services:\"; add by hand: services: {%s: {path: %s}}", name, dir)
	}
	end, indent := start+1, "  "
	for i := start + 1; i < len(lines); i++ {
		line := lines[i]
		body := strings.TrimLeft(line, " ")
		if strings.TrimSpace(body) == "" || strings.HasPrefix(body, "#") {
			continue
		}
		if len(body) == len(line) {
			break // the next block
		}
		if end == start+1 {
			indent = line[:len(line)-len(body)]
		}
		end = i + 1
	}
	if end == len(lines) && !strings.HasSuffix(lines[end-1], "\n") {
		lines[end-1] += "\n"
	}
	entry := fmt.Sprintf("%s%s: {path: %s}\n", indent, name, dir)
	return strings.Join(lines[:end], "") + entry + strings.Join(lines[end:], ""), nil
}
