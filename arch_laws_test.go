package warren_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

func servicesAreMains(h *house) (broken []string) {
	for _, p := range h.sorted() {
		parts := strings.Split(p.dir, "/")
		if parts[0] != "shop" || len(parts) < 2 || parts[1] == "api" || parts[1] == "e2e" {
			continue
		}
		if len(parts) == 2 && p.files[0].ast.Name.Name != "main" {
			broken = append(broken, p.dir+" is not a package main")
		}
		if len(parts) > 2 && parts[2] != "internal" && parts[2] != "migrations" {
			broken = append(broken, p.dir+" is not below internal")
		}
	}
	return broken
}

func shopUsesPublicThings(h *house) []string {
	return h.badImports(func(f *file, dir, imported string) bool {
		return within(dir, "shop") && dir != "shop/e2e" &&
			(within(imported, "internal") || within(imported, "shop") && !within(imported, "shop/api") && !within(imported, dir))
	})
}

func portableKnowsNoDriver(h *house) []string {
	return h.badImports(func(f *file, dir, imported string) bool {
		if f.test || !isDriver(imported) {
			return false
		}
		return slices.Contains(portable, dir) || isDriver(dir) && dir != imported
	})
}

func driversAreNamedOnce(h *house) []string {
	return h.badImports(func(f *file, dir, imported string) bool {
		return isDriver(imported) && !f.test && dir != "internal/node" && !within(dir, "cmd") && dir != "warrentest" && dir != imported
	})
}

func internalArrows(h *house) []string {
	return h.badImports(func(f *file, dir, imported string) bool {
		if within(dir, "internal") && within(imported, "shop") {
			return true
		}
		from, to := internalRoot(dir), internalRoot(imported)
		if f.test || from == "" || to == "" || from == to {
			return false
		}
		return !slices.Contains(internalImports[from], to)
	})
}

func prometheusHasOneUser(h *house) (broken []string) {
	for _, p := range h.sorted() {
		for _, f := range p.files {
			for _, spec := range f.ast.Imports {
				if name, err := strconv.Unquote(spec.Path.Value); err == nil && within(name, "github.com/prometheus/prometheus") && p.dir != "internal/metricstore" {
					broken = append(broken, f.path+" imports "+name)
				}
			}
		}
	}
	return broken
}

// servicesLinkNoObservers follows the imports of what users import, and of the
// shop's programs.
func servicesLinkNoObservers(h *house) (broken []string) {
	observers := []string{"internal/metricstore", "internal/alerting", "internal/signals", "internal/console", "internal/profiling", "internal/flame", "internal/audit", "internal/control", "internal/supervisor"}
	for _, p := range h.sorted() {
		if within(p.dir, "internal") || within(p.dir, "cmd") || p.dir == "shop/e2e" {
			continue
		}
		for dir := range h.linked(p.dir) {
			if slices.ContainsFunc(observers, func(o string) bool { return within(dir, o) }) {
				broken = append(broken, p.dir+" links "+dir)
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// linked are the folders that a program with this one in it consists of.
func (h *house) linked(dir string) map[string]bool {
	seen := map[string]bool{dir: true}
	for next := []string{dir}; len(next) > 0; next = next[1:] {
		p := h.packages[next[0]]
		if p == nil {
			continue
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, imported := range f.imports() {
				if !seen[imported] {
					seen[imported] = true
					next = append(next, imported)
				}
			}
		}
	}
	return seen
}

// internalRoot returns the package of internal/ to which the folder belongs.
func internalRoot(dir string) string {
	parts := strings.Split(dir, "/")
	if parts[0] != "internal" || len(parts) < 2 {
		return ""
	}
	return strings.Join(parts[:2], "/")
}

func (h *house) badImports(bad func(f *file, dir, imported string) bool) (broken []string) {
	for _, p := range h.sorted() {
		for _, f := range p.files {
			for _, imported := range f.imports() {
				if bad(f, p.dir, imported) {
					broken = append(broken, f.path+" imports "+imported)
				}
			}
		}
	}
	return broken
}

func packagesHaveNames(h *house) (broken []string) {
	empty := []string{"util", "utils", "common", "helper", "helpers", "types", "base", "misc", "lib"}
	for _, p := range h.sorted() {
		if slices.Contains(empty, path.Base(p.dir)) {
			broken = append(broken, p.dir)
		}
	}
	return broken
}

func packagesAreExplained(h *house) (broken []string) {
	for _, p := range h.sorted() {
		var explained []string
		var code int
		contract := false // what is generated is explained in its contract, and whatever stands beside it
		for _, f := range p.files {
			if f.test || f.generated {
				contract = contract || f.generated && f.ast.Doc != nil
				continue
			}
			code++
			if f.ast.Doc != nil {
				explained = append(explained, f.path)
			}
		}
		if code > 0 && len(explained) != 1 && (!contract || len(explained) > 0) {
			broken = append(broken, p.dir+" has package comments in "+strings.Join(explained, ", ")+";")
		}
	}
	return broken
}

func driversConform(h *house) (broken []string) {
	for _, p := range h.sorted() {
		if !isDriver(p.dir) {
			continue
		}
		suite := drivers[path.Dir(p.dir)]
		runs := slices.ContainsFunc(p.files, func(f *file) bool {
			return f.test && slices.Contains(f.imports(), suite)
		})
		if !runs {
			broken = append(broken, p.dir+" does not run "+suite)
		}
	}
	return broken
}

func noHiddenState(h *house) (broken []string) {
	for _, p := range h.sorted() {
		globals := p.globals()
		for _, f := range p.files {
			if f.test || f.generated {
				continue
			}
			for _, decl := range f.ast.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if fn.Name.Name == "init" && fn.Recv == nil {
					broken = append(broken, h.at(fn.Pos())+" has an init function")
				}
				broken = append(broken, h.assigned(fn, globals)...)
			}
		}
	}
	return broken
}

// globals lists the names of the package's variables.
func (p *pkg) globals() map[string]bool {
	names := map[string]bool{}
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, decl := range f.ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					names[name.Name] = true
				}
			}
		}
	}
	return names
}

// assigned finds assignments to package variables. A local variable of the
// same name hides the global; then nothing is reported for that function.
func (h *house) assigned(fn *ast.FuncDecl, globals map[string]bool) (broken []string) {
	local := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				id, ok := left.(*ast.Ident)
				if !ok {
					continue
				}
				if n.Tok == token.DEFINE {
					local[id.Name] = true
				} else if globals[id.Name] && !local[id.Name] && id.Name != "_" {
					broken = append(broken, h.at(id.Pos())+" assigns to the package variable "+id.Name)
				}
			}
		}
		return true
	})
	return broken
}

func mustOnlyAtStart(h *house) []string {
	return h.badCalls(func(f *file, name string) bool {
		_, bare, _ := strings.Cut(name, ".")
		return !f.test && !f.generated && f.ast.Name.Name != "main" && strings.HasPrefix(bare, "Must")
	})
}

// testsNeitherSleepNorSkip looks at the suites for drivers, too, which are no
// _test.go files, and at every name that a test may have for its testing.T.
func testsNeitherSleepNorSkip(h *house) []string {
	return append(h.sleeps(), h.badCalls(func(f *file, name string) bool {
		if !f.test && !f.importsPackage("testing") {
			return false
		}
		switch name[strings.LastIndex(name, ".")+1:] {
		case "Skip":
			// There, operators skip branches.
			return name != ".Skip" || !strings.HasPrefix(f.path, "internal/coordinator/")
		case "Skipf", "SkipNow":
			return true
		case "Short":
			return name == "testing.Short"
		}
		return false
	})...)
}

// badCalls looks at the calls inside of functions.
func (h *house) badCalls(bad func(f *file, name string) bool) (broken []string) {
	for _, p := range h.sorted() {
		for _, f := range p.files {
			for _, decl := range f.ast.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(fn, func(n ast.Node) bool {
					if call, ok := n.(*ast.CallExpr); ok {
						if name := calledName(call); bad(f, name) {
							broken = append(broken, h.at(call.Pos())+" calls "+name)
						}
					}
					return true
				})
			}
		}
	}
	return broken
}

func calledName(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if id, ok := sel.X.(*ast.Ident); ok {
		return id.Name + "." + sel.Sel.Name
	}
	return "." + sel.Sel.Name
}

func errorsNameTheOperation(h *house) (broken []string) {
	for _, p := range h.sorted() {
		for _, f := range p.files {
			if f.test || f.generated {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if ok && lit.Kind == token.STRING && (strings.HasPrefix(lit.Value, `"failed to`) || strings.HasPrefix(lit.Value, `"could not`)) {
					broken = append(broken, h.at(lit.Pos())+" says "+lit.Value)
				}
				return true
			})
		}
	}
	return broken
}

func (h *house) at(pos token.Pos) string { return h.fset.Position(pos).String() }

// importsPackage tells whether the file imports a package by its full path.
func (f *file) importsPackage(name string) bool {
	return slices.ContainsFunc(f.ast.Imports, func(spec *ast.ImportSpec) bool { return spec.Path.Value == strconv.Quote(name) })
}
