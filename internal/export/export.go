// Package export writes what a team needs that already has Prometheus,
// Alertmanager, Grafana, Elasticsearch or Jaeger: configurations of these, with
// the rules that the system itself is watched by, and dashboards.
//
// What a file cannot know is a name that begins with PLACEHOLDER.
package export

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// Options say what system it is.
type Options struct {
	System, Environment string
	// Discovery lists the instances: "http://127.0.0.1:7071/sd".
	Discovery string
	// Data is the system's data folder, in which the logs are.
	Data string
	// Rules are the rules in force.
	Rules []metricstore.RuleGroup
	// Runbooks is where the page about the shipped alerts can be read; "" leaves it
	// as the rules have it.
	Runbooks string
	// Scrape and Evaluate are how often instances are asked, and rules.
	Scrape, Evaluate time.Duration
	// SampleLimit is how many series one instance may show.
	SampleLimit int
}

// File is one file of the export; its name is below the folder, with slashes.
type File struct {
	Name string
	Text []byte
}

//go:embed templates
var templates embed.FS

// Files makes all files.
func Files(o Options) ([]File, error) {
	var out []File
	rules, err := ruleFiles(o)
	if err != nil {
		return nil, err
	}
	boards, err := dashboards()
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(templates, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fill(path, o)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, "templates/")
		out = append(out, File{Name: strings.TrimSuffix(name, ".tmpl"), Text: text})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("export configurations: %w", err)
	}
	out = slices.Concat(out, rules, boards)
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// fill makes one file of its template. What stands in braces in the languages of
// these files is left to them: ours are [[ ]].
func fill(path string, o Options) ([]byte, error) {
	text, err := fs.ReadFile(templates, path)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path).Delims("[[", "]]").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, o); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Changed is the error of files that somebody has changed since they were
// written.
type Changed struct{ Names []string }

// Error implements error.
func (c *Changed) Error() string {
	return "these files are there and say something else: " + strings.Join(c.Names, ", ")
}

// Write writes the files below a folder. If any is there and says something else,
// it writes none unless it is told to overwrite: somebody may have put their own
// receivers in.
func Write(dir string, files []File, overwrite bool) error {
	changed := &Changed{}
	for _, f := range files {
		now, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if err == nil && !bytes.Equal(now, f.Text) {
			changed.Names = append(changed.Names, f.Name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("export %s: %w", f.Name, err)
		}
	}
	if len(changed.Names) > 0 && !overwrite {
		return changed
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("export %s: %w", f.Name, err)
		}
		if err := os.WriteFile(path, f.Text, 0o644); err != nil { //nolint:gosec // servers of other users read it; it holds no secret
			return fmt.Errorf("export %s: %w", f.Name, err)
		}
	}
	return nil
}
