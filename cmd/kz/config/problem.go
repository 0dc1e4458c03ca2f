package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Pos     Pos // zero when no file says it
	Message string
	Hint    string // what to write instead; may be empty
}

// Error is file:line:column and the message, without the hint.
func (p Problem) Error() string {
	if at := p.Pos.String(); at != "" {
		return at + ": " + p.Message
	}
	return p.Message
}

// Problems is the error of Load and Blind: every problem found, in the order of the files.
type Problems []Problem

// Error holds one line per problem. Where there are several, each hint follows its problem on a line of its own.
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
		if len(ps) > 1 && p.Hint != "" {
			b.WriteString("\n    hint: " + p.Hint)
		}
	}
	return b.String()
}

// Hint is the hint of a single problem; with several, Error has them.
func (ps Problems) Hint() string {
	if len(ps) == 1 {
		return ps[0].Hint
	}
	return ""
}

// Unwrap gives the problems one by one.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// maxProblems bounds what a hostile file can make kz print.
const maxProblems = 50

// problems collects, each problem once: a value is checked in its file and again after merging.
type problems struct {
	list []Problem
	seen map[Problem]bool
	more int
}

func (ps *problems) add(pos Pos, format string, args ...any) {
	ps.put(Problem{Pos: pos, Message: fmt.Sprintf(format, args...)})
}

func (ps *problems) hint(pos Pos, hint, format string, args ...any) {
	ps.put(Problem{Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (ps *problems) put(p Problem) {
	if ps.seen[p] {
		return
	}
	if ps.seen == nil {
		ps.seen = make(map[Problem]bool)
	}
	ps.seen[p] = true
	if len(ps.list) >= maxProblems {
		ps.more++
		return
	}
	ps.list = append(ps.list, p)
}

// err is what was collected as an error, sorted by the order of files and then by position; nil when there is nothing.
func (ps *problems) err(files []string) error {
	if len(ps.list) == 0 {
		return nil
	}
	list := slices.Clone(ps.list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.Pos.File), slices.Index(files, b.Pos.File)),
			cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	if ps.more > 0 {
		list = append(list, Problem{Message: fmt.Sprintf("and %d more", ps.more)})
	}
	return Problems(list)
}
