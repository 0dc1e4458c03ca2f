package test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is one Go file, by its path from the top with forward slashes.
type source struct {
	name string
	text []byte
}

func (s source) dir() string  { return path.Dir(s.name) }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func TestArchitecture(t *testing.T) {
	t.Parallel()
	sources, err := read("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 50 {
		t.Fatalf("only %d files were found: is this the source tree?", len(sources))
	}
	for _, fault := range check(sources) {
		t.Error(fault)
	}
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// kz is what `go build ./cmd/kz` leaves; git ignores it.
		if name := e.Name(); !strings.HasPrefix(name, ".") && name != "kz" && !slices.Contains(topLevel, name) {
			t.Errorf("%s: the top level holds %s and hidden files only", name, strings.Join(topLevel, " "))
		}
	}
}

// read collects the Go files of the module: those of nested modules, of testdata
// and of hidden directories are not its own.
func read(root string) ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (nested == nil || d.Name() == "testdata" || d.Name()[0] == '.' || d.Name()[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		out = append(out, source{filepath.ToSlash(rel), text})
		return err
	})
	return out, err
}

// check lists what is against the rules, one line each.
func check(sources []source) []string {
	var faults []string
	seen := map[string]bool{}
	for _, s := range sources {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, s.name, s.text, parser.SkipObjectResolution)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", s.name, err))
			continue
		}
		seen[s.name] = true
		fault := func(at token.Pos, format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s: %s", fset.Position(at), fmt.Sprintf(format, args...)))
		}
		r, known := roomOf(s.dir())
		if !known {
			fault(file.Package, "an unknown package: give %s its room in rooms_test.go", s.dir())
			continue
		}
		checkName(s, file, fault)
		checkImports(s, file, r, fault)
		if !s.isTest() {
			checkBody(s, file, fault)
		}
		if n := bytes.Count(s.text, []byte("\n")); n > maxLines && longFiles[s.name] == "" {
			fault(file.Package, "%d lines: past %d there must be a reason in longFiles", n, maxLines)
		}
	}
	return append(faults, stale(sources, seen)...)
}

// stale finds reasons for long files that are long no more.
func stale(sources []source, seen map[string]bool) []string {
	var faults []string
	for name := range longFiles {
		i := slices.IndexFunc(sources, func(s source) bool { return s.name == name })
		if !seen[name] && seen["test/rooms_test.go"] || i >= 0 && bytes.Count(sources[i].text, []byte("\n")) <= maxLines {
			faults = append(faults, name+": is not past the limit: its reason in longFiles can go")
		}
	}
	return faults
}

type faultFunc func(at token.Pos, format string, args ...any)

func checkName(s source, file *ast.File, fault faultFunc) {
	for _, name := range []string{file.Name.Name, path.Base(s.dir())} {
		switch strings.TrimSuffix(name, "_test") {
		case "util", "utils", "common", "types", "helpers", "misc":
			fault(file.Name.Pos(), "no package is called %s: name it after what it does", name)
			return
		}
	}
}

func checkImports(s source, file *ast.File, r room, fault faultFunc) {
	own := "kz/" + s.dir()
	for _, spec := range file.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		switch {
		case name == "kz" || strings.HasPrefix(name, "kz/"):
			ok := covers(r.kz, name) || s.isTest() && (name == own || covers(testOnly.kz, name))
			// What is there for tests is not for the product, whatever its room says.
			forTests := s.isTest() || strings.HasPrefix(own, "kz/test") || strings.HasPrefix(own, "kz/resolver/resolvertest")
			if !forTests && (strings.HasPrefix(name, "kz/test/") || strings.HasPrefix(name, "kz/resolver/resolvertest")) {
				ok = false
			}
			if !ok {
				fault(spec.Pos(), "%s must not import %s", s.dir(), name)
			}
		case strings.Contains(strings.Split(name, "/")[0], "."):
			if !hasPrefix(r.modules, name) && !(s.isTest() && hasPrefix(testOnly.modules, name)) {
				fault(spec.Pos(), "%s must not import %s", s.dir(), name)
			}
		case slices.Contains(r.banned, name) && !s.isTest():
			fault(spec.Pos(), "%s has no use for %s", s.dir(), name)
		}
	}
}

// covers tells whether a list of packages, some ending in …, has name.
func covers(list []string, name string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		prefix, all := strings.CutSuffix(p, "…")
		return p == name || all && strings.HasPrefix(name, prefix)
	})
}

// hasPrefix tells whether name is one of the modules or a package in one.
func hasPrefix(modules []string, name string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return name == m || strings.HasPrefix(name, m+"/") })
}

// checkBody looks into the declarations of product code and of what tests stand on.
func checkBody(s source, file *ast.File, fault faultFunc) {
	packages := map[string]string{} // local name → import path
	for _, spec := range file.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		local := path.Base(p)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		packages[local] = p
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			fault(f.Pos(), "init functions hide what happens: call it where it is needed")
		}
	}
	isFalse := func(e ast.Expr) bool { id, ok := e.(*ast.Ident); return ok && id.Name == "false" }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && id.Name == "InsecureSkipVerify" && !isFalse(n.Value) {
				fault(n.Pos(), "InsecureSkipVerify: certificates are always verified")
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if sel, ok := left.(*ast.SelectorExpr); ok && sel.Sel.Name == "InsecureSkipVerify" && (len(n.Rhs) <= i || !isFalse(n.Rhs[i])) {
					fault(n.Pos(), "InsecureSkipVerify: certificates are always verified")
				}
			}
		case *ast.SelectorExpr:
			id, ok := n.X.(*ast.Ident)
			if !ok || strings.HasPrefix(s.dir(), "test") {
				return true
			}
			if why := bannedNames[packages[id.Name]+"."+n.Sel.Name]; why != "" {
				fault(n.Pos(), "%s.%s is not used: %s", id.Name, n.Sel.Name, why)
			}
		}
		return true
	})
}
