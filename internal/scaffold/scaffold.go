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
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/gowarren/warren/internal/protogen"
)

//go:embed templates
var templates embed.FS

// Service is the plan of a new service.
type Service struct {
	Name string // "reviews"
	File string // the system file, made if it is not there

	root         string // folder of the system file
	yaml         string // the system file with the service in it
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

// Write writes the service and returns the files that it made or changed.
// Nothing is written unless all of it can be, and no file that exists is
// overwritten; the system file gets one line more.
func Write(ctx context.Context, s Service) ([]string, error) {
	files, err := s.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("new service %s: %w", s.Name, err)
	}
	made, err := s.writeAll(ctx, files)
	if err != nil {
		s.undo(made)
		return nil, fmt.Errorf("new service %s: %w", s.Name, err)
	}
	slices.Sort(made)
	return made, nil
}

// writeAll returns what it wrote, also when it could not go on. The system
// file comes last: it names what is there.
func (s *Service) writeAll(ctx context.Context, files map[string][]byte) (made []string, err error) {
	for name, text := range files {
		made = append(made, name)
		if err := s.write(name, text); err != nil {
			return made, err
		}
	}
	generated, err := s.generate(ctx)
	made = append(made, generated...)
	if err != nil {
		return made, err
	}
	return append(made, filepath.Base(s.File)), s.write(filepath.Base(s.File), []byte(s.yaml))
}

// undo removes what was made. The system file is not among it: nothing comes
// after it that could go wrong.
func (s *Service) undo(made []string) {
	for _, name := range made {
		if name != filepath.Base(s.File) {
			_ = os.Remove(filepath.Join(s.root, name))
		}
	}
	for _, dir := range []string{s.Dir, s.contracts(), path.Dir(s.contracts())} {
		_ = os.Remove(filepath.Join(s.root, dir)) // if it is empty
	}
}

// prepare plans the service and returns the content of its files.
func (s *Service) prepare(ctx context.Context) (map[string][]byte, error) {
	if err := s.plan(ctx); err != nil {
		return nil, err
	}
	contracts := s.contracts()
	for _, dir := range []string{s.Dir, contracts} {
		entries, err := os.ReadDir(filepath.Join(s.root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(entries) > 0 {
			return nil, fmt.Errorf("the folder %s is already there, and not empty; choose another name", dir)
		}
	}
	files := map[string][]byte{}
	for name, tmpl := range map[string]string{
		path.Join(contracts, s.Name+".proto"): "contract.proto.tmpl",
		path.Join(s.Dir, "main.go"):           "main.go.tmpl",
		path.Join(s.Dir, "service.go"):        "service.go.tmpl",
		path.Join(s.Dir, "service_test.go"):   "service_test.go.tmpl",
	} {
		text, err := s.fill(tmpl)
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	return files, nil
}

// contracts is the folder of the service's contract.
func (s *Service) contracts() string {
	return path.Join(s.API, strings.ReplaceAll(s.ProtoPackage, ".", "/"))
}

// fill is a template with the service's names in it.
func (s *Service) fill(tmpl string) ([]byte, error) {
	t, err := template.ParseFS(templates, "templates/"+tmpl)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return nil, err
	}
	if strings.HasSuffix(tmpl, ".go.tmpl") {
		return format.Source(out.Bytes())
	}
	return out.Bytes(), nil
}

func (s *Service) write(name string, text []byte) error {
	full := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, text, 0o644)
}

// generate writes the Go code of the new contract; what others wrote stays.
func (s *Service) generate(ctx context.Context) ([]string, error) {
	plugins := protogen.GoPlugins()
	for i := range plugins {
		plugins[i].Dir = s.root
	}
	files, err := protogen.Generate(ctx, plugins, filepath.Join(s.root, s.API))
	if err != nil {
		return nil, err
	}
	var made []string
	for name := range files {
		if filepath.Dir(name) != filepath.Join(s.root, s.contracts()) {
			delete(files, name)
			continue
		}
		made = append(made, path.Join(s.contracts(), filepath.Base(name)))
	}
	return made, protogen.Write(files)
}
