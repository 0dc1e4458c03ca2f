// Command mutate deletes kz's protections one at a time and expects a named test to
// fail each time: a check that cannot fail is a defect.
//
//	go run ./test/mutate            all of them
//	go run ./test/mutate -each 3    the first three of each row of the threat catalogue, as on every change
//	go run ./test/mutate -row 24    those of one row
//	go run ./test/mutate -run TEXT  those whose place in the lists, file, test or description has the text
//	go run ./test/mutate -list      only tell what there is
//
// The protections are in list/*.txt, in the form that [parse] takes. The source tree
// is never touched: the go command reads the changed file by -overlay. For each, the
// old text must occur exactly once, the changed package must compile, the named test
// must pass as things are and fail with the change, each at the second attempt at the
// latest. It exits with 1 unless all do.
//
// Tests that need kz itself or installed tools find them as under test/run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	row := flag.Int("row", 0, "only the protections of this row")
	each := flag.Int("each", 0, "at most so many of each row, the first ones; 0: all")
	text := flag.String("run", "", "only the protections whose place in the lists, file, package, test or description has this text")
	only := flag.Bool("list", false, "tell what there is, and try nothing")
	jobs := flag.Int("j", runtime.NumCPU(), "how many are tried at a time")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "mutate: it takes no arguments, only -row, -each, -run, -list and -j")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := command(ctx, *row, *each, *text, *only, *jobs)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

func command(ctx context.Context, row, each int, text string, only bool, jobs int) (ok bool, err error) {
	root, err := findRoot()
	if err != nil {
		return false, err
	}
	all, err := readLists(filepath.Join(root, "test", "mutate", "list"))
	if err != nil {
		return false, err
	}
	chosen := choose(all, row, each, text)
	if len(chosen) == 0 {
		return false, fmt.Errorf("none of the %d protections is meant by -row %d -run %q", len(all), row, text)
	}
	if only {
		for _, p := range chosen {
			fmt.Println(p)
		}
		fmt.Printf("%d protections\n", len(chosen))
		return true, nil
	}
	began := time.Now()
	r, err := newRunner(root, jobs)
	if err != nil {
		return false, err
	}
	defer r.close()
	info, err := os.Stderr.Stat()
	r.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	counts := r.run(ctx, chosen)
	fmt.Printf("%d protections deleted one at a time in %d s: %d noticed, %d survived, %d in error\n",
		len(chosen), int(time.Since(began).Seconds()), counts[killed], counts[survived], counts[invalid])
	return counts[killed] == len(chosen), nil
}

// choose leaves those of a row (0: of any) that text means, and the first of each row as far as each (0: any number).
func choose(all []protection, row, each int, text string) (chosen []protection) {
	have := map[int]int{}
	for _, p := range all {
		if row != 0 && p.row != row || !p.has(text) || each > 0 && have[p.row] == each {
			continue
		}
		have[p.row]++
		chosen = append(chosen, p)
	}
	return chosen
}

// findRoot is the directory of the module that the working directory is in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("finding go.mod: not in a module")
		}
		dir = up
	}
}

// has tells whether a protection is one that -run means.
func (p protection) has(text string) bool {
	return strings.Contains(strings.Join([]string{p.at, p.file, p.pkg, p.test, p.what}, "\n"), text)
}
