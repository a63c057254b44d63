package warren_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"testing"
)

// sleeps finds time.Sleep, called or handed on, where the clock is real. It is not in
// what is given to synctest.Test as a literal, nor in a function that calls
// synctest.Wait, which panics everywhere else.
func (h *house) sleeps() (broken []string) {
	for _, p := range h.sorted() {
		for _, f := range p.files {
			if !f.test && !f.importsPackage("testing") {
				continue
			}
			for _, decl := range f.ast.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && f.mentions(fn, "testing/synctest", "Wait") {
					continue
				}
				for _, pos := range f.awake(decl) {
					broken = append(broken, h.at(pos)+" calls time.Sleep by the real clock")
				}
			}
		}
	}
	return broken
}

// awake finds time.Sleep outside of synctest's bubbles.
func (f *file) awake(in ast.Node) (found []token.Pos) {
	f.inspectOutside(in, func(n ast.Node) {
		if f.isOf(n, "time", "Sleep") {
			found = append(found, n.Pos())
		}
	})
	return found
}

// mentions tells whether the node has the name of a package outside of bubbles: what
// is in them says nothing of what is not.
func (f *file) mentions(in ast.Node, imported, name string) (found bool) {
	f.inspectOutside(in, func(n ast.Node) { found = found || f.isOf(n, imported, name) })
	return found
}

// inspectOutside shows all nodes but those in the literals given to synctest.Test.
func (f *file) inspectOutside(in ast.Node, show func(ast.Node)) {
	ast.Inspect(in, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !f.isOf(call.Fun, "testing/synctest", "Test") {
			show(n)
			return true
		}
		for _, arg := range call.Args {
			if _, literal := arg.(*ast.FuncLit); !literal {
				f.inspectOutside(arg, show)
			}
		}
		return false
	})
}

// isOf tells whether a node is the name of a package, under whatever name the file
// has imported that.
func (f *file) isOf(n ast.Node, imported, name string) bool {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && slices.ContainsFunc(f.ast.Imports, func(spec *ast.ImportSpec) bool {
		known := path.Base(imported)
		if spec.Name != nil {
			known = spec.Name.Name
		}
		return spec.Path.Value == strconv.Quote(imported) && known == id.Name
	})
}

// TestSleepsAreFound: the law knows the real clock from the one of a bubble, also
// within one file.
func TestSleepsAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		body  string
		found int
	}{
		"in a bubble":               {`func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { go func() { time.Sleep(1) }() }) }`, 0},
		"beside a bubble":           {`func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) {}); time.Sleep(1) }`, 1},
		"in another test":           {`func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) {}) }; func TestB(t *testing.T) { time.Sleep(1) }`, 1},
		"before a wait":             {`func settle() { time.Sleep(1); synctest.Wait() }`, 0},
		"beside a wait in a bubble": {`func TestA(t *testing.T) { time.Sleep(1); synctest.Test(t, func(t *testing.T) { synctest.Wait() }) }`, 1},
		"on its way to a bubble":    {`func TestA(t *testing.T) { synctest.Test(late(time.Sleep), func(t *testing.T) {}) }`, 1},
		"by another name":           {`var nap = clock.Sleep`, 1},
		"of something else":         {`func TestA(t *testing.T) { bed.Sleep(1) }`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := &house{fset: token.NewFileSet(), packages: map[string]*pkg{}}
			text := "package a\nimport (\n\"testing\"\n\"testing/synctest\"\n\"time\"\nclock \"time\"\n)\n" + test.body
			parsed, err := parser.ParseFile(h.fset, "a_test.go", text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			h.packages["a"] = &pkg{dir: "a", files: []*file{{path: "a/a_test.go", test: true, ast: parsed}}}
			if got := h.sleeps(); len(got) != test.found {
				t.Errorf("found %q, want %d", got, test.found)
			}
		})
	}
}
