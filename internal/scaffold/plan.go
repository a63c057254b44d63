package scaffold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gowarren/warren/internal/system"
)

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)
	notInSystem = regexp.MustCompile(`[^a-z0-9-]+`)
	version     = regexp.MustCompile(`^v[0-9]+$`)
)

// taken are names that mean something else: to Go as a folder, to a contract
// as the beginning of what it imports, to the system file.
var taken = []string{"api", "internal", "vendor", "testdata", "buf", "google", "gateway", "console", "warren"}

// plan decides where everything goes: beside the services that are there.
func (s *Service) plan(ctx context.Context) error {
	if !nameForm.MatchString(s.Name) {
		return errors.New("want a short name of lower-case letters and digits, such as reviews")
	}
	if slices.Contains(taken, s.Name) {
		return errors.New("the name means something else already; choose another")
	}
	var err error
	if s.root, err = filepath.Abs(filepath.Dir(s.File)); err != nil {
		return err
	}
	importPath, err := s.module(ctx)
	if err != nil {
		return err
	}
	text, err := s.systemFile(importPath)
	if err != nil {
		return err
	}
	s.API = path.Join(s.Dir, "api")
	s.Dir = path.Join(s.Dir, s.Name)
	word := strings.ReplaceAll(s.System, "-", "")
	s.ProtoPackage = word + "." + s.Name + ".v1"
	s.GoContract = path.Join(importPath, s.API, word, s.Name, "v1")
	s.Alias, s.Upper = s.Name+"v1", strings.ToUpper(s.Name)
	s.Type = strings.ToUpper(s.Name[:1]) + s.Name[1:]
	s.Domain = s.Name + "." + s.System
	return s.enter(text)
}

// systemFile returns the system file's text, a new one if there is none, and
// learns the system's name and the folder of its services.
func (s *Service) systemFile(importPath string) (string, error) {
	text, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		s.System = systemName(importPath)
		fresh, err := s.fill("warren.yaml.tmpl")
		return string(fresh), err
	}
	if err != nil {
		return "", err
	}
	sys, err := system.Parse(s.File, text, "")
	if err != nil {
		return "", err
	}
	if _, ok := sys.Service(s.Name); ok {
		return "", fmt.Errorf("%s has a service of that name; choose another", s.File)
	}
	s.System, s.Dir = sys.Name, commonParent(sys.Services)
	return string(text), nil
}

// systemName makes a system's name of the last word of an import path that
// is no version.
func systemName(importPath string) string {
	last := path.Base(importPath)
	if version.MatchString(last) {
		last = path.Base(path.Dir(importPath))
	}
	name := strings.Trim(notInSystem.ReplaceAllString(strings.ToLower(last), "-"), "-")
	name = strings.TrimLeft(name, "0123456789-")
	if name == "" {
		return "system"
	}
	return name
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

// The generators that turn contracts into Go, and what the code needs.
const (
	protogenGo   = "google.golang.org/protobuf/cmd/protoc-gen-go"
	protogenGRPC = "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	warren       = "github.com/gowarren/warren"
)

// module is the import path of the system file's folder, in a Go module that
// must have Warren and the generators.
func (s *Service) module(ctx context.Context) (string, error) {
	type named struct {
		Path string `json:"path"`
	}
	var mod struct {
		Module  named   `json:"module"`
		Require []named `json:"require"`
		Tool    []named `json:"tool"`
	}
	file, err := s.goCommand(ctx, "env", "GOMOD")
	gomod := strings.TrimSpace(string(file))
	if err != nil || gomod == "" || gomod == os.DevNull {
		return "", errors.Join(fmt.Errorf("%s is not in a Go module; begin with: go mod init example.com/myshop", s.root), err)
	}
	text, err := s.goCommand(ctx, "mod", "edit", "-json")
	if err == nil {
		err = json.Unmarshal(text, &mod)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", gomod, err)
	}
	has := func(list []named, name string) bool { return slices.Contains(list, named{name}) }
	if mod.Module.Path != warren && !has(mod.Require, warren) {
		return "", fmt.Errorf("the module does not use Warren yet; add it with: go get %s", warren)
	}
	if !has(mod.Tool, protogenGo) || !has(mod.Tool, protogenGRPC) {
		return "", fmt.Errorf("the module has no protobuf generators; add them with: go get -tool %s %s", protogenGo, protogenGRPC)
	}
	below, err := filepath.Rel(filepath.Dir(gomod), s.root)
	if err != nil {
		return "", err
	}
	return path.Join(mod.Module.Path, filepath.ToSlash(below)), nil
}

func (s *Service) goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.root
	return cmd.Output()
}
