package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const guarded = `package guard

func Allowed(n int) bool {
	if n < 0 {
		return false
	}
	if n > 10 {
		return false
	}
	for n == 7 {
		n = wait(n)
	}
	return true
}

func wait(n int) int { return n + 1 }
`

const guardTests = `package guard

import (
	"fmt"
	"os"
	"testing"
)

func TestNegative(t *testing.T) {
	if Allowed(-1) {
		t.Error("-1 is allowed")
	}
}

func TestNothing(t *testing.T) { fmt.Println("--- FAIL: TestNothing (0.00s)") }

func TestSkipped(t *testing.T) { t.Skip("not here") }

func TestBroken(t *testing.T) { t.Error("always") }

// again is false the first time.
func again(name string) bool {
	_, err := os.Stat(name)
	_ = os.WriteFile(name, nil, 0o600)
	return err == nil
}

func TestSecondLook(t *testing.T) {
	if Allowed(-1) && again("looked") {
		t.Error("-1 is allowed")
	}
}

func TestFirstFails(t *testing.T) {
	if !again("ran") || Allowed(-1) {
		t.Error("the first time")
	}
}

func TestLeaves(t *testing.T) {
	if Allowed(-1) {
		os.Exit(1)
	}
}
`

// TestVerdicts tries protections of a small module of its own.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module fake\n\ngo 1.24\n", "guard/guard.go": guarded, "guard/guard_test.go": guardTests} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entry := func(old, with, test string) protection {
		return protection{at: "list:1", row: 1, what: old, file: "guard/guard.go", old: old, new: with, pkg: "./guard", test: test}
	}
	cases := []struct {
		name string
		p    protection
		want verdict
		says string
	}{
		{"a test that fails has noticed", entry("if n < 0 {", "if false {", "TestNegative"), killed, ""},
		{"a test that passes has not", entry("if n > 10 {", "if false {", "TestNegative"), survived, "does not notice"},
		{"a test has a second time to notice", entry("if n < 0 {", "if false {", "TestSecondLook"), killed, "the second time; the first: list:1: guard/guard.go has no such line"},
		{"a test has a second time to pass as things are", entry("if n < 0 {", "if false {", "TestFirstFails"), killed, ""},
		{"what a test prints is not its result", entry("if n < 0 {", "if false {", "TestNothing"), survived, "does not notice"},
		{"text that is not there is stale", entry("if n < 5 {", "", "TestNegative"), invalid, "stale: old is 0 times"},
		{"text that is there twice is stale", entry("return false", "", "TestNegative"), invalid, "stale: old is 2 times"},
		{"a change that does not compile is an error", entry("return n + 1", "return", "TestNegative"), invalid, "does not compile"},
		{"a test that is not there is an error", entry("if n < 0 {", "if false {", "TestNegativ"), invalid, "there is no TestNegativ"},
		{"a test that is skipped is an error", entry("if n < 0 {", "if false {", "TestSkipped"), invalid, "is skipped"},
		{"a test that fails as things are is an error", entry("if n < 0 {", "if false {", "TestBroken"), invalid, "TestBroken fails"},
		{"a test binary that only dies is an error", entry("if n < 0 {", "if false {", "TestLeaves"), invalid, "without having failed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := newRunner(root, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			var out bytes.Buffer
			r.out = &out
			counts := r.run(t.Context(), []protection{c.p})
			if counts[c.want] != 1 || len(counts) != 1 || !strings.Contains(out.String(), c.says) {
				t.Errorf("got %v:\n%s", counts, out.String())
			}
			if text, err := os.ReadFile(filepath.Join(root, "guard/guard.go")); err != nil || string(text) != guarded {
				t.Errorf("the tree was touched: %v", err)
			}
		})
	}
}

func TestEntriesAreReadStrictly(t *testing.T) {
	t.Parallel()
	const good = "row: 3\nwhat: a: b\nfile: p/x.go\nold: \tif a {\nold: \t\treturn\nnew: if b {\nnew: \treturn\npackage: ./p\ntest: TestA\n"
	got, err := parse("l.txt", "# a remark\n\n"+good+"\n\n"+strings.Replace(good, "TestA", "TestB", 1)+"kz: yes\n")
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	want := protection{at: "l.txt:3", row: 3, what: "a: b", file: "p/x.go", old: "if a {\nreturn", new: "if b {\nreturn", pkg: "./p", test: "TestA"}
	if got[0] != want {
		t.Errorf("got %+v", got[0])
	}
	if !got[1].kz || got[1].test != "TestB" {
		t.Errorf("got %+v", got[1])
	}
	for _, c := range []struct{ name, text, says string }{
		{"an unknown key", good + "why: x\n", `l.txt:10: not a key of an entry: "why"`},
		{"a line without a key", good + "x\n", "l.txt:10: not a key"},
		{"a key twice", good + "row: 4\n", "l.txt:10: row is there twice"},
		{"a missing key", strings.Replace(good, "what: a: b\n", "", 1), "l.txt:1: what is missing"},
		{"a row that is no number", strings.Replace(good, "row: 3", "row: x", 1), "row is not a number"},
		{"nothing to delete", "row: 3\nwhat: x\nfile: p/x.go\npackage: ./p\ntest: TestA\n", "old is missing"},
		{"a change of nothing", strings.Replace(good, "new: if b", "new: if a", 1), "old and new are the same"},
		{"a file elsewhere", strings.Replace(good, "p/x.go", "../x.go", 1), "file is not a source file"},
		{"a test file", strings.Replace(good, "p/x.go", "p/x_test.go", 1), "file is not a source file"},
		{"many packages", strings.Replace(good, "./p", "./...", 1), "package is not one directory"},
		{"a subtest", strings.Replace(good, "TestA", "TestA/b", 1), "not a top-level test"},
		{"kz that is no yes", good + "kz: no\n", "kz is yes or not there"},
	} {
		if _, err := parse("l.txt", c.text); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if err := twice(append(got, got[0])); err == nil || !strings.Contains(err.Error(), "l.txt:3: it is at l.txt:3 already") {
		t.Errorf("a protection that is there twice: got %v", err)
	}
}

func TestBlanksDoNotCount(t *testing.T) {
	t.Parallel()
	p := protection{at: "l:1", file: "x.go", old: "if n > 10 {\nreturn false", new: "if n > 10 {"}
	got, err := p.apply(strings.Replace(guarded, "n > 10", "n >  10", 1))
	if err != nil || !strings.Contains(got, "\tif n > 10 {\n\t}\n") {
		t.Errorf("got %v:\n%s", err, got)
	}
}

// TestListsAreNotStale finds what the code has outgrown without trying it.
func TestListsAreNotStale(t *testing.T) {
	t.Parallel()
	const root = "../.."
	all, err := readLists("list")
	if err != nil {
		t.Fatal(err)
	}
	const atLeast = 200
	if len(all) < atLeast {
		t.Errorf("there are %d protections; there were %d", len(all), atLeast)
	}
	tests := map[string]map[string]bool{}
	for _, p := range all {
		text, err := os.ReadFile(filepath.Join(root, p.file))
		if err != nil {
			t.Errorf("%s: %v", p.at, err)
		} else if _, err := p.apply(string(text)); err != nil {
			t.Error(err)
		}
		if tests[p.pkg] == nil {
			tests[p.pkg] = topLevelTests(t, filepath.Join(root, p.pkg))
		}
		if !tests[p.pkg][p.test] {
			t.Errorf("%s: %s has no %s", p.at, p.pkg, p.test)
		}
	}
}

// topLevelTests are the names of the functions in a directory's test files.
func topLevelTests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []protection{{row: 1, what: "a"}, {row: 2, what: "b"}, {row: 1, what: "c"}, {row: 1, what: "d"}, {row: 2, what: "e"}}
	for _, tt := range []struct {
		row, each  int
		text, want string
	}{
		{0, 0, "", "abcde"}, {1, 0, "", "acd"}, {0, 2, "", "abce"}, {0, 1, "", "ab"}, {1, 2, "", "ac"}, {0, 1, "d", "d"}, {3, 0, "", ""},
	} {
		got := ""
		for _, p := range choose(all, tt.row, tt.each, tt.text) {
			got += p.what
		}
		if got != tt.want {
			t.Errorf("row %d, %d of each, %q: %q, want %q", tt.row, tt.each, tt.text, got, tt.want)
		}
	}
}
