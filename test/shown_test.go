package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

// demonstration is a call of resolvertest.Shown: a store with one way to log in passes the conformance suite against something.
type demonstration struct{ store, auth, against string }

func (d demonstration) row() string {
	return fmt.Sprintf("| `%s` | %s | %s |", d.store, d.auth, d.against)
}

// shownHead begins the README's table.
const shownHead = "| store | `auth` | shown against |\n|---|---|---|\n"

// demonstrations reads the calls in the tests below dir. Their arguments must be literals.
func demonstrations(dir string) (all []demonstration, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Shown" {
				return true
			}
			var texts []string
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					texts = append(texts, text)
				}
			}
			if len(texts) != 3 {
				err = fmt.Errorf("%s calls Shown with what is not a literal", path)
				return false
			}
			all = append(all, demonstration{texts[0], texts[1], texts[2]})
			return true
		})
		return err
	})
	return all, err
}

// TestEveryStoreIsShown: each type of backend, with each way to log in, passes the conformance suite somewhere, and the README says against what.
func TestEveryStoreIsShown(t *testing.T) {
	t.Parallel()
	all, err := demonstrations("../resolver")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, typ := range config.Types() {
		auths := []string{""}
		for _, s := range typ.Settings {
			if s.Key == "auth" {
				auths = s.Values
			}
		}
		for _, auth := range auths {
			want[typ.Name+" "+auth] = true
			if !slices.ContainsFunc(all, func(d demonstration) bool { return d.store == typ.Name && d.auth == auth }) {
				t.Errorf("no conformance test shows %s with auth %q", typ.Name, auth)
			}
		}
	}
	_, table, _ := strings.Cut(string(readme), shownHead)
	missing := false
	for _, d := range all {
		if !want[d.store+" "+d.auth] {
			t.Errorf("a test shows what does not exist: %s with auth %q", d.store, d.auth)
		}
		missing = missing || !strings.Contains(table, d.row()+"\n")
	}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if !slices.ContainsFunc(all, func(d demonstration) bool { return d.row() == strings.TrimSpace(line) }) {
			t.Errorf("the README says what no test shows: %s", line)
		}
	}
	if missing {
		rows := make([]string, len(all))
		for i, d := range all {
			rows[i] = d.row()
		}
		slices.Sort(rows)
		t.Errorf("the README's table of stores is not what the tests show:\n%s", strings.Join(slices.Compact(rows), "\n"))
	}
}
