package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// summary adds up events.
type summary struct {
	out     io.Writer
	maySkip map[string]string

	packages map[string]*tally // running
	builds   map[string]string // output of builds, by import path

	passed, failed, skipped int
	problems                []string // failed tests and forbidden skips, for the end
	forbidden               int      // skips that are not in maySkip

	repeatable map[string]map[string]bool // failed tests of the top level, by package
	final      bool                       // something failed that is not run again

	shown   map[string]bool // "store | auth | against", as tests said it
	clients map[string]bool // "client | version | proxy | trust | swap", likewise
}

// tally is one package that has not ended yet.
type tally struct {
	tests   map[string]string // result by test: run, pass, fail, skip
	parents map[string]bool
	output  map[string]*strings.Builder // by test; "" is the package's own
}

func newSummary(out io.Writer, maySkip map[string]string) *summary {
	return &summary{out: out, maySkip: maySkip, packages: map[string]*tally{}, builds: map[string]string{}, repeatable: map[string]map[string]bool{}, shown: map[string]bool{}, clients: map[string]bool{}}
}

// read takes events until the end. Lines that are not JSON are passed on.
func (s *summary) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				s.take(e)
			} else {
				fmt.Fprintf(s.out, "%s\n", strings.TrimSuffix(string(line), "\n"))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) take(e event) {
	if e.Action == "build-output" {
		s.builds[e.ImportPath] += e.Output
	}
	if e.Package == "" {
		return
	}
	t := s.packages[e.Package]
	if t == nil {
		t = &tally{tests: map[string]string{}, parents: map[string]bool{}, output: map[string]*strings.Builder{}}
		s.packages[e.Package] = t
	}
	switch e.Action {
	case "output":
		b := t.output[e.Test]
		if b == nil {
			b = &strings.Builder{}
			t.output[e.Test] = b
		}
		b.WriteString(e.Output)
		s.note(e.Output)
	case "run", "pass", "fail", "skip":
		if e.Test == "" {
			if e.Action != "run" {
				s.end(e, t)
				delete(s.packages, e.Package)
			}
			return
		}
		t.tests[e.Test] = e.Action
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			t.parents[e.Test[:i]] = true
		}
	}
}

// end counts a package and prints its line.
func (s *summary) end(e event, t *tally) {
	counts := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(t.tests)) {
		result := t.tests[name]
		if result == "run" {
			result = "fail" // it never ended: a panic or a timeout
		}
		if t.parents[name] && (result != "fail" || childFailed(t, name)) {
			continue // its subtests are counted
		}
		counts[result]++
		switch full := e.Package + "." + name; result {
		case "fail":
			s.problems = append(s.problems, "failed: "+full)
			s.failedTest(e.Package, t, name)
			fmt.Fprintf(s.out, "--- %s\n%s", full, t.text(name))
		case "skip":
			if s.maySkip[full] == "" {
				s.forbidden++
				s.problems = append(s.problems, "skipped: "+full+": "+reason(t.text(name)))
			}
		}
	}
	if e.Action == "fail" && counts["fail"] == 0 {
		counts["fail"]++
		s.final = true
		s.problems = append(s.problems, "failed: "+e.Package+" as a whole")
		fmt.Fprintf(s.out, "--- %s\n%s%s", e.Package, s.builds[e.FailedBuild], t.text(""))
	} else if e.Action == "fail" {
		fmt.Fprint(s.out, t.text(""))
	}
	s.passed += counts["pass"]
	s.failed += counts["fail"]
	s.skipped += counts["skip"]
	n := counts["pass"] + counts["fail"] + counts["skip"]
	if n == 0 {
		return
	}
	word := "ok   "
	if counts["fail"] > 0 {
		word = "FAIL "
	}
	note := ""
	if counts["skip"] > 0 {
		note = fmt.Sprintf(", %d skipped", counts["skip"])
	}
	fmt.Fprintf(s.out, "%s %s  (%d tests%s, %.1f s)\n", word, e.Package, n, note, e.Elapsed)
}

func childFailed(t *tally, parent string) bool {
	for name, result := range t.tests {
		if strings.HasPrefix(name, parent+"/") && (result == "fail" || result == "run") {
			return true
		}
	}
	return false
}

// text is the output of a test (or "", the package's own), less the lines that
// only tell how it went.
func (t *tally) text(test string) string {
	b := t.output[test]
	if b == nil {
		return ""
	}
	var kept strings.Builder
	for line := range strings.Lines(b.String()) {
		switch first, _, _ := strings.Cut(strings.TrimSpace(line), " "); first {
		case "===", "---", "FAIL", "PASS", "ok":
		default:
			if !strings.HasPrefix(line, "FAIL\t") {
				kept.WriteString(line)
			}
		}
	}
	return kept.String()
}

// reason is what a test said when it was skipped.
func reason(output string) string {
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return "no reason given"
}

// note takes what a test has shown out of a line of its output: of a store, see resolvertest.Shown; of a client, the matrix of test/e2e.
func (s *summary) note(output string) {
	if _, row, ok := strings.Cut(output, ": shown: "); ok {
		s.shown[strings.TrimSpace(row)] = true
	}
	if _, row, ok := strings.Cut(output, ": client: "); ok {
		s.clients[strings.TrimSpace(row)] = true
	}
}

// tables prints each store, with each way to log in, and what it was shown against; and each client with what works.
func (s *summary) tables() {
	s.table("stores, how they log in, and what they were shown against:", slices.Collect(maps.Keys(s.shown)))
	if len(s.clients) == 0 {
		return
	}
	works := 0
	for row := range s.clients {
		if strings.HasSuffix(row, " | ok | ok | ok") {
			works++
		}
	}
	rows := append(slices.Collect(maps.Keys(s.clients)), " client | version | proxy | trust | swap")
	s.table(fmt.Sprintf("clients with only the environment that kz sets, %d of %d ok in all:", works, len(s.clients)), rows)
}

func (s *summary) table(title string, rows []string) {
	if len(rows) == 0 {
		return
	}
	slices.Sort(rows)
	fmt.Fprintln(s.out, title)
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(strings.TrimSpace(row), " | ", "\t"))
	}
	_ = w.Flush()
}

// finish prints the counts and tells whether all is well.
func (s *summary) finish(strict bool) bool {
	for _, name := range slices.Sorted(maps.Keys(s.packages)) {
		s.failed++
		s.final = true
		s.problems = append(s.problems, "failed: "+name+" never ended")
	}
	for _, p := range s.problems {
		fmt.Fprintln(s.out, p)
	}
	s.tables()
	if s.passed == 0 && s.failed == 0 {
		fmt.Fprintln(s.out, "no test ran")
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return s.failed == 0 && s.passed > 0 && (!strict || s.forbidden == 0)
}
