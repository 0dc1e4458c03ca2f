package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// told runs events through a summary.
func told(t *testing.T, strict bool, maySkip map[string]string, events ...string) (string, bool) {
	t.Helper()
	var out strings.Builder
	s := newSummary(&out, maySkip)
	if err := s.read(strings.NewReader(strings.Join(events, "\n"))); err != nil {
		t.Fatal(err)
	}
	ok := s.finish(strict)
	return out.String(), ok
}

func ev(action, test string) string {
	return fmt.Sprintf(`{"Action":%q,"Package":"kz/p","Test":%q,"Elapsed":1.5}`, action, test)
}

func said(test, text string) string {
	return fmt.Sprintf(`{"Action":"output","Package":"kz/p","Test":%q,"Output":%q}`, test, text+"\n")
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		strict bool
		events []string
		ok     bool
		last   string
		has    string
	}{
		{"tests are counted by their leaves", false, []string{
			ev("run", "TestA"), ev("run", "TestA/x"), ev("run", "TestA/y"), ev("pass", "TestA/x"), ev("pass", "TestA/y"), ev("pass", "TestA"), ev("run", "TestB"), ev("pass", "TestB"), ev("pass", ""),
		}, true, "3 passed, 0 failed, 0 skipped", "ok    kz/p  (3 tests, 1.5 s)"},
		{"a failure is shown with its output", false, []string{
			ev("run", "TestA"), ev("run", "TestA/x"), said("TestA/x", "=== CONT  TestA/x"), said("TestA/x", "why"), said("TestA/x", "--- FAIL: TestA/x"), ev("fail", "TestA/x"), ev("fail", "TestA"), ev("fail", ""),
		}, false, "0 passed, 1 failed, 0 skipped", "--- kz/p.TestA/x\nwhy\nFAIL  kz/p"},
		{"a parent that fails by itself is a failure", false, []string{
			ev("run", "TestA"), ev("run", "TestA/x"), ev("pass", "TestA/x"), said("TestA", "after"), ev("fail", "TestA"), ev("fail", ""),
		}, false, "1 passed, 1 failed, 0 skipped", "after"},
		{"a test that never ends is a failure", false, []string{ev("run", "TestA"), said("TestA", "panic: x"), ev("fail", "")}, false, "0 passed, 1 failed, 0 skipped", "panic: x"},
		{"a package that fails as a whole is a failure", false, []string{
			`{"ImportPath":"kz/p [kz/p.test]","Action":"build-output","Output":"p.go:1: undefined\n"}`,
			`{"Action":"fail","Package":"kz/p","Elapsed":0,"FailedBuild":"kz/p [kz/p.test]"}`,
		}, false, "0 passed, 1 failed, 0 skipped", "undefined"},
		{"a package that never ends is a failure", false, []string{ev("run", "TestA"), ev("pass", "TestA")}, false, "0 passed, 1 failed, 0 skipped", "never ended"},
		{"a skip is let pass", false, []string{ev("run", "TestA"), ev("pass", "TestA"), ev("run", "TestB"), ev("skip", "TestB"), ev("pass", "")}, true, "1 passed, 0 failed, 1 skipped", "1 skipped, 1.5 s"},
		{"a skip is refused when strict", true, []string{
			ev("run", "TestA"), ev("pass", "TestA"), ev("run", "TestB"), said("TestB", "=== RUN TestB"), said("TestB", "    x_test.go:1: no curl"), ev("skip", "TestB"), ev("pass", ""),
		}, false, "1 passed, 0 failed, 1 skipped", "skipped: kz/p.TestB: x_test.go:1: no curl"},
		{"a skip with a reason is let pass when strict", true, []string{ev("run", "TestA"), ev("pass", "TestA"), ev("run", "TestMay"), ev("skip", "TestMay"), ev("pass", "")}, true, "1 passed, 0 failed, 1 skipped", ""},
		{"what was shown is told in order, once", false, []string{
			ev("run", "TestA"), said("TestA", "    a_test.go:9: shown: vault | token | the core"), said("TestA", "    shown.go:14: shown: aws | role | a fake"), said("TestA", "    shown.go:14: shown: aws | role | a fake"), ev("pass", "TestA"), ev("pass", ""),
		}, true, "1 passed, 0 failed, 0 skipped", "shown against:\n  aws    role   a fake\n  vault  token  the core\n1 passed"},
		{"what each client does is told at the end, once", false, []string{
			ev("run", "TestA"), said("TestA", "    a_test.go:9: client: wget | 1.2 | ok | ok | ok"), said("TestA", "    a_test.go:9: client: aiohttp | 3 | goes direct | ok | ok"), ev("pass", "TestA"), ev("pass", ""),
		}, true, "1 passed, 0 failed, 0 skipped", "sets, 1 of 2 ok in all:\n  client   version  proxy        trust  swap\n  aiohttp  3        goes direct  ok     ok\n  wget     1.2      ok           ok     ok\n1 passed"},
		{"no test is no success", false, []string{ev("skip", "")}, false, "0 passed, 0 failed, 0 skipped", "no test ran"},
		{"other lines are passed on", false, []string{"go: downloading x", ev("run", "TestA"), ev("pass", "TestA"), ev("pass", "")}, true, "1 passed, 0 failed, 0 skipped", "go: downloading x\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, ok := told(t, c.strict, map[string]string{"kz/p.TestMay": "for a reason"}, c.events...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if ok != c.ok || lines[len(lines)-1] != c.last || !strings.Contains(out, c.has) {
				t.Errorf("ok %v, want %v; want the last line %q and somewhere %q:\n%s", ok, c.ok, c.last, c.has, out)
			}
		})
	}
}

// TestWhatMayBeRunAgain: few tests that measure time, when nothing else has failed.
func TestWhatMayBeRunAgain(t *testing.T) {
	t.Parallel()
	const pkg = "kz/test/e2e"
	in := func(pkg string, events ...string) (list []string) {
		for _, e := range events {
			list = append(list, strings.Replace(e, `"kz/p"`, fmt.Sprintf("%q", pkg), 1))
		}
		return list
	}
	fails := func(test, text string) []string {
		return []string{ev("run", test), said(test, "    a_test.go:3: "+text), ev("fail", test)}
	}
	end := []string{ev("fail", "")}
	for _, c := range []struct {
		name   string
		events []string
		want   string
	}{
		{"nothing failed", in(pkg, ev("run", "TestBombs"), ev("pass", "TestBombs"), ev("pass", "")), ""},
		{"by the name of the top level", in(pkg, slices.Concat([]string{ev("run", "TestBombs")}, fails("TestBombs/x", "took 3 s"), []string{ev("fail", "TestBombs")}, end)...), "kz/test/e2e ^(TestBombs)$"},
		{"three, of two packages", slices.Concat(in("kz/ca", slices.Concat(fails("TestSystemRoots", "slow"), end)...), in(pkg, slices.Concat(fails("TestEvents", "slow"), fails("TestBombs", "slow"), end)...)), "kz/ca ^(TestSystemRoots)$\nkz/test/e2e ^(TestBombs|TestEvents)$"},
		{"four are no accident", in(pkg, slices.Concat(fails("TestBombs", "slow"), fails("TestEvents", "slow"), fails("TestLongBodies", "slow"), fails("TestSlowhttptest", "slow"), end)...), ""},
		{"one that measures no time", in(pkg, slices.Concat(fails("TestFraming", "slow"), end)...), ""},
		{"one that measures no time, beside one that does", in(pkg, slices.Concat(fails("TestBombs", "slow"), fails("TestFraming", "slow"), end)...), ""},
		{"one of that name elsewhere", slices.Concat(fails("TestBombs", "slow"), end), ""},
		{"a value was seen", in(pkg, slices.Concat(fails("TestBombs", "the Value came back"), end)...), ""},
		{"a value was seen beside what failed", in(pkg, ev("run", "TestBombs"), ev("run", "TestBombs/x"), said("TestBombs", "a value is in the log"), said("TestBombs/x", "slow"), ev("fail", "TestBombs/x"), ev("fail", "TestBombs"), ev("fail", "")), ""},
		{"a data race", in(pkg, slices.Concat(fails("TestBombs", "WARNING: DATA RACE"), end)...), ""},
		{"a data race that the package tells", in(pkg, slices.Concat(fails("TestBombs", "slow"), []string{said("", "WARNING: DATA RACE")}, end)...), ""},
		{"a test that never ended", in(pkg, ev("run", "TestBombs"), ev("fail", "")), ""},
		{"a package that never ended", in(pkg, fails("TestBombs", "slow")...), ""},
		{"a build", []string{`{"Action":"fail","Package":"kz/p","Elapsed":0,"FailedBuild":"kz/p [kz/p.test]"}`}, ""},
		{"a test was skipped, too", in(pkg, slices.Concat(fails("TestBombs", "slow"), []string{ev("run", "TestB"), ev("skip", "TestB")}, end)...), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSummary(io.Discard, nil)
			if err := s.read(strings.NewReader(strings.Join(c.events, "\n"))); err != nil {
				t.Fatal(err)
			}
			s.finish(true)
			if got := strings.Join(s.again(), "\n"); got != c.want {
				t.Errorf("to be run again: %q, want %q", got, c.want)
			}
		})
	}
}

// TestWhatMeasuresTimeIsThere holds the list to the tests.
func TestWhatMeasuresTimeIsThere(t *testing.T) {
	t.Parallel()
	for name, why := range measuresTime {
		dot := strings.LastIndexByte(name, '.')
		files, err := filepath.Glob("../../" + strings.TrimPrefix(name[:dot], "kz/") + "/*_test.go")
		if err != nil || why == "" {
			t.Fatal(name, err)
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), "\nfunc "+name[dot+1:]+"(t *testing.T)")
		}) {
			t.Errorf("there is no %s", name)
		}
	}
}
