package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// lastThreat is the number of the catalogue's last row.
const lastThreat = 66

// threat is one row of threats.md, the table in this directory.
type threat struct {
	number int
	attack string
	tests  []string // "proxy/policy.TestName": a package's directory and one of its tests
	limits []string // sentences that the README must have
}

var (
	threatTest  = regexp.MustCompile("`([a-z0-9/]+\\.(?:Test|Fuzz)[A-Za-z0-9_]+)`")
	threatLimit = regexp.MustCompile(`README: "([^"]+)"`)
)

// parseThreats reads the table: rows in order, none missing, each held by tests, by limits or by both.
func parseThreats(text string) (rows []threat, faults []string) {
	for i, line := range strings.Split(text, "\n") {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		number, err := strconv.Atoi(cells[0])
		if !strings.HasPrefix(line, "|") || err != nil {
			continue
		}
		if len(cells) != 3 {
			fault("a row has a number, an attack and what holds it, not %d cells", len(cells))
			continue
		}
		row := threat{number: number, attack: cells[1]}
		rest := cells[2]
		for _, m := range threatTest.FindAllStringSubmatch(rest, -1) {
			row.tests = append(row.tests, m[1])
			rest = strings.Replace(rest, m[0], "", 1)
		}
		for _, m := range threatLimit.FindAllStringSubmatch(rest, -1) {
			row.limits = append(row.limits, m[1])
			rest = strings.Replace(rest, m[0], "", 1)
		}
		if rest = strings.Trim(rest, " ,;"); rest != "" {
			fault("row %d: %q is neither a test nor a sentence of the README", number, rest)
		}
		if len(row.tests)+len(row.limits) == 0 {
			fault("row %d is held by nothing", number)
		}
		if want := len(rows) + 1; number != want {
			fault("row %d stands where row %d belongs", number, want)
		}
		rows = append(rows, row)
	}
	if len(rows) != lastThreat {
		faults = append(faults, fmt.Sprintf("%d rows, not %d", len(rows), lastThreat))
	}
	return rows, faults
}

// testNames are the tests and fuzz targets of the package in a directory, by parsing its files.
func testNames(dir string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
				names[fn.Name.Name] = true
			}
		}
	}
	return names, nil
}

// missingHolders are the tests and sentences that rows name and that do not exist.
func missingHolders(root string, rows []threat, readme string) (faults []string, err error) {
	readme = strings.Join(strings.Fields(readme), " ")
	known := map[string]map[string]bool{}
	for _, row := range rows {
		for _, name := range row.tests {
			dir, test, _ := strings.Cut(name, ".")
			if known[dir] == nil {
				if known[dir], err = testNames(filepath.Join(root, dir)); err != nil {
					return nil, err
				}
			}
			if !known[dir][test] {
				faults = append(faults, fmt.Sprintf("row %d: there is no %s", row.number, name))
			}
		}
		for _, sentence := range row.limits {
			if !strings.Contains(readme, sentence) {
				faults = append(faults, fmt.Sprintf("row %d: the README does not say %q", row.number, sentence))
			}
		}
	}
	return faults, nil
}

// byConstruction are the rows with no single protection to delete.
var byConstruction = map[int]string{
	11: "requests are made by a transport, which follows no redirect",
	37: "nothing in the way of an answer compresses",
	50: "goproxy's names may not be used, and the architecture's own test shows that it notices",
}

// deleted are the tests that test/mutate expects to fail, by row.
func deleted(root string) (map[int]map[string]bool, error) {
	lists, err := filepath.Glob(filepath.Join(root, "test/mutate/list/*.txt"))
	if err != nil {
		return nil, err
	}
	rows := map[int]map[string]bool{}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		row, pkg := 0, ""
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "row":
				if row, err = strconv.Atoi(value); err != nil {
					return nil, fmt.Errorf("%s: %w", list, err)
				}
			case "package":
				pkg = strings.TrimPrefix(value, "./")
			case "test":
				if rows[row] == nil {
					rows[row] = map[string]bool{}
				}
				rows[row][pkg+"."+value] = true
			}
		}
	}
	return rows, nil
}

func TestEveryThreatHasAProtectionToDelete(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("threats.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := parseThreats(string(table))
	deletions, err := deleted("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		found := len(row.tests) == 0 || byConstruction[row.number] != ""
		for _, name := range row.tests {
			found = found || deletions[row.number][name]
		}
		if !found {
			t.Errorf("row %d: none of its tests is in test/mutate/list", row.number)
		}
	}
}

func TestEveryThreatIsHeld(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("threats.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, faults := parseThreats(string(table))
	missing, err := missingHolders("..", rows, string(readme))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range append(faults, missing...) {
		t.Error("threats.md: " + fault)
	}
}

func TestThreatFaultsAreFound(t *testing.T) {
	t.Parallel()
	good := func(n int) string { return fmt.Sprintf("| %d | something | `test.TestTopLevel` |\n", n) }
	var all strings.Builder
	for n := 1; n <= lastThreat; n++ {
		all.WriteString(good(n))
	}
	if _, faults := parseThreats(all.String()); len(faults) > 0 {
		t.Fatalf("a good table has faults: %q", faults)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"a row is missing", good(7), "", "row 8 stands where row 7 belongs"},
		{"a row is held by nothing", good(7), "| 7 | something |  |\n", "not 2 cells"},
		{"a row is held by prose", good(7), "| 7 | something | we looked |\n", `"we looked" is neither`},
		{"the last row is missing", good(lastThreat), "", "65 rows, not 66"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, faults := parseThreats(strings.Replace(all.String(), tt.old, tt.new, 1))
			if !strings.Contains(strings.Join(faults, "\n"), tt.want) {
				t.Errorf("faults %q, want %q among them", faults, tt.want)
			}
		})
	}
	rows := []threat{{number: 1, tests: []string{"test.TestTopLevel", "test.TestThatIsNot"}, limits: []string{"Root sees all.", "Nobody sees anything."}}}
	faults, err := missingHolders("..", rows, "…\n- Root sees\n  all.\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(faults) != 2 || !strings.Contains(faults[0], "TestThatIsNot") || !strings.Contains(faults[1], "Nobody") {
		t.Errorf("faults %q", faults)
	}
}
