package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// protection is one entry of a list: what is deleted, and the test that must see it.
type protection struct {
	at   string // file:line of the entry's first line
	row  int    // of the threat catalogue
	what string
	file string // by its path from the top
	old  string // lines without their indentation
	new  string
	pkg  string // of the test: ./proxy
	test string // a top-level test
	kz   bool   // the test runs kz, which is then built with the change
}

func (p protection) String() string {
	return fmt.Sprintf("row %2d  %s  (%s.%s)", p.row, p.what, strings.TrimPrefix(p.pkg, "./"), p.test)
}

// readLists reads every list of a directory.
func readLists(dir string) ([]protection, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("reading the lists: there is none in %s", dir)
	}
	var all []protection
	var problems []error
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		some, err := parse(filepath.Base(name), string(text))
		all = append(all, some...)
		problems = append(problems, err)
	}
	return all, errors.Join(append(problems, twice(all))...)
}

// twice finds protections that are deleted in the same way for the same test.
func twice(all []protection) error {
	seen := map[[5]string]string{}
	var problems []error
	for _, p := range all {
		key := [5]string{p.file, p.old, p.new, p.pkg, p.test}
		if at, ok := seen[key]; ok {
			problems = append(problems, fmt.Errorf("%s: it is at %s already", p.at, at))
		}
		seen[key] = p.at
	}
	return errors.Join(problems...)
}

var (
	testName    = regexp.MustCompile(`^(Test|Fuzz)[A-Za-z0-9_]*$`)
	packageName = regexp.MustCompile(`^\./[a-z0-9_/]+$`)
	blanks      = regexp.MustCompile(`[ \t]+`)
)

// parse reads entries of `key: value` lines, a blank line between two:
//
//	row: 24
//	what: a request with Content-Length and chunked framing is refused
//	file: proxy/request.go
//	old: if framed(r) {
//	new: if false {
//	package: ./proxy
//	test: TestFraming
//
// old may be a part of a line, or several lines by repeating the key, and so may new;
// how lines are indented and aligned does not count. Without new, old is cut out. `kz: yes` is for
// a test that runs kz. Lines that begin with # are left out. All problems are told.
func parse(name, text string) ([]protection, error) {
	var all []protection
	var problems []error
	problem := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
	}
	var entry map[string][]string
	start := 0
	end := func() {
		if entry == nil {
			return
		}
		p, err := build(entry)
		if p.at = fmt.Sprintf("%s:%d", name, start); err != nil {
			problem(start, "%v", err)
		} else {
			all = append(all, p)
		}
		entry = nil
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			end()
			continue
		case line[0] == '#':
			continue
		}
		if entry == nil {
			entry, start = map[string][]string{}, i+1
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || !isKey(key) {
			problem(i+1, "not a key of an entry: %q", key)
			continue
		}
		if key != "old" && key != "new" && entry[key] != nil {
			problem(i+1, "%s is there twice", key)
		}
		entry[key] = append(entry[key], strings.TrimSpace(value))
	}
	end()
	return all, errors.Join(problems...)
}

func isKey(key string) bool {
	switch key {
	case "row", "what", "file", "old", "new", "package", "test", "kz":
		return true
	}
	return false
}

// build makes a protection of an entry's values.
func build(entry map[string][]string) (protection, error) {
	var problems []error
	one := func(key string) string {
		if v := strings.Join(entry[key], "\n"); v != "" {
			return v
		}
		problems = append(problems, fmt.Errorf("%s is missing", key))
		return ""
	}
	p := protection{
		what: one("what"), file: one("file"), old: one("old"), pkg: one("package"), test: one("test"),
		new: strings.Join(entry["new"], "\n"),
	}
	var err error
	if p.row, err = strconv.Atoi(one("row")); err != nil || p.row < 1 {
		problems = append(problems, fmt.Errorf("row is not a number: %q", entry["row"]))
	}
	switch v := strings.Join(entry["kz"], ""); v {
	case "", "yes":
		p.kz = v == "yes"
	default:
		problems = append(problems, fmt.Errorf("kz is yes or not there: %q", v))
	}
	if p.old == p.new {
		problems = append(problems, errors.New("old and new are the same"))
	}
	source := strings.HasSuffix(p.file, ".go") && !strings.HasSuffix(p.file, "_test.go") || strings.HasSuffix(p.file, ".cjs") // embedded
	if !filepath.IsLocal(p.file) || !source {
		problems = append(problems, fmt.Errorf("file is not a source file of the product: %q", p.file))
	}
	if !packageName.MatchString(p.pkg) {
		problems = append(problems, fmt.Errorf("package is not one directory: %q", p.pkg))
	}
	if !testName.MatchString(p.test) {
		problems = append(problems, fmt.Errorf("test is not a top-level test: %q", p.test))
	}
	return p, errors.Join(problems...)
}

// apply is the text of the protection's file without the protection. The old text
// must be in it exactly once.
func (p protection) apply(text string) (string, error) {
	lines := strings.Split(p.old, "\n")
	for i, line := range lines {
		lines[i] = blanks.ReplaceAllLiteralString(regexp.QuoteMeta(line), `[ \t]+`)
	}
	found := regexp.MustCompile(strings.Join(lines, `\n[ \t]*`)).FindAllStringIndex(text, -1)
	if len(found) != 1 {
		return "", fmt.Errorf("%s: the list is stale: old is %d times in %s: %q", p.at, len(found), p.file, p.old)
	}
	return text[:found[0][0]] + p.new + text[found[0][1]:], nil
}
