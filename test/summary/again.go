package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxAgain is how many tests may be run once more: more than that are no accident.
const maxAgain = 3

// once is what a test must not have failed with to be run again. That a value was seen where it must not be, a data race or a
// panic is a defect even if it comes once in a thousand times.
var once = regexp.MustCompile(`(?i)value|leak|canar|data race|panic|fatal error|goroutine \d+ \[`)

// mayRepeat notes a failed test as one to run again, or that nothing is to be.
func (s *summary) mayRepeat(pkg string, t *tally, name string) {
	top, _, _ := strings.Cut(name, "/")
	if t.tests[name] == "run" || once.MatchString(t.text("")) {
		s.final = true // it never ended
	}
	for other := range t.output {
		if (other == top || strings.HasPrefix(other, top+"/")) && t.tests[other] != "pass" && once.MatchString(t.text(other)) {
			s.final = true
		}
	}
	if s.repeatable[pkg] == nil {
		s.repeatable[pkg] = map[string]bool{}
	}
	s.repeatable[pkg][top] = true
}

// again is what may be run once more: a line for each package, its name and a pattern. It is empty when nothing failed, or
// something that must not be.
func (s *summary) again() []string {
	if s.final || s.forbidden > 0 {
		return nil
	}
	n := 0
	var lines []string
	for _, pkg := range slices.Sorted(maps.Keys(s.repeatable)) {
		names := slices.Sorted(maps.Keys(s.repeatable[pkg]))
		n += len(names)
		lines = append(lines, pkg+" ^("+strings.Join(names, "|")+")$")
	}
	if n > maxAgain {
		return nil
	}
	return lines
}
