package names_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// found is a family of metrics as the code declares it.
type found struct {
	where  string
	labels []string
	sure   bool // the labels stand there as literals
}

// TestCodeKeepsToTheRegister: what the code registers is in the register, with
// its labels and its package, and what is in the register is in the code.
func TestCodeKeepsToTheRegister(t *testing.T) {
	r, code := register(t), metricsInCode(t)
	for _, name := range slices.Sorted(maps.Keys(code)) {
		m, known := r.Metric(name)
		if !known {
			t.Errorf("%s: %s is not in internal/names/names.yaml", code[name].where, name)
			continue
		}
		if dir := filepath.ToSlash(filepath.Dir(code[name].where)); !strings.HasPrefix(dir, m.By) {
			t.Errorf("%s comes from %s; the register says %s", name, dir, m.By)
		}
		want := slices.Sorted(maps.Keys(m.Labels))
		slices.Sort(code[name].labels)
		if code[name].sure && !slices.Equal(want, code[name].labels) {
			t.Errorf("%s: %s has the labels %q; the register says %q", code[name].where, name, code[name].labels, want)
		}
	}
	for _, m := range r.Metrics {
		if _, there := code[m.Name]; !there {
			t.Errorf("%s is in the register, and nowhere in the code", m.Name)
		}
	}
}

func metricsInCode(t *testing.T) map[string]found {
	t.Helper()
	code, fset := map[string]found{}, token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"bench", "tools", "node_modules", "testdata"}, d.Name()) || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		where, _ := filepath.Rel("../..", path)
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				metricIn(call, where, code)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

var family = regexp.MustCompile(`^(?:warren|shop|rpc|http|db|messaging|target|traces)_[a-z0-9_]+$`)

// metricIn notes what a call declares: one of client_golang, or a helper of the
// same name that takes name, help and labels.
func metricIn(call *ast.CallExpr, where string, code map[string]found) {
	switch callee := calleeOf(call); {
	case strings.HasPrefix(callee, "New") && len(call.Args) > 0 && isOpts(call.Args[0]):
		opts := call.Args[0].(*ast.CompositeLit)
		labels, sure := constLabels(opts)
		if strings.HasSuffix(callee, "Vec") {
			labels = append(labels, literals(call.Args[1])...)
		}
		for _, e := range opts.Elts {
			if pair, ok := e.(*ast.KeyValueExpr); ok && text(pair.Key) == "Name" && family.MatchString(text(pair.Value)) {
				code[text(pair.Value)] = found{where, labels, sure}
			}
		}
	case slices.Contains([]string{"NewDesc", "desc", "gauge", "counter", "histogram", "send"}, callee):
		for i, arg := range call.Args {
			if name := text(arg); family.MatchString(name) {
				f := found{where: where, sure: callee == "counter" || callee == "histogram" || callee == "gauge"}
				for _, rest := range call.Args[min(i+2, len(call.Args)):] {
					if text(rest) == "" {
						f.sure = false
					}
					f.labels = append(f.labels, text(rest))
				}
				code[name] = f
				return
			}
		}
	}
}

func calleeOf(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func isOpts(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	selector, ok := lit.Type.(*ast.SelectorExpr)
	return ok && strings.HasSuffix(selector.Sel.Name, "Opts") && selector.Sel.Name != "HandlerOpts"
}

// constLabels are the keys of constant labels; they are not sure where they come
// in a variable.
func constLabels(opts *ast.CompositeLit) (labels []string, sure bool) {
	for _, e := range opts.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok || text(pair.Key) != "ConstLabels" {
			continue
		}
		lit, ok := pair.Value.(*ast.CompositeLit)
		if !ok {
			return nil, false
		}
		for _, l := range lit.Elts {
			labels = append(labels, text(l.(*ast.KeyValueExpr).Key))
		}
	}
	return labels, true
}

func literals(e ast.Expr) (out []string) {
	if lit, ok := e.(*ast.CompositeLit); ok {
		for _, element := range lit.Elts {
			out = append(out, text(element))
		}
	}
	return out
}

// text is what a name or a literal says.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	}
	return ""
}
