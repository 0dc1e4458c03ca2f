// Command bench measures kz beside what it is compared with, in one run, and prints medians and ratios.
//
//	go run ./test/bench              every row, about ten minutes
//	go run ./test/bench --quick      every row once, in less than a minute: that each works
//	go run ./test/bench startup      what kz run --blind adds to the start of a program
//
// It builds kz, starts an origin and each way to it as processes of their own, and has one load generator use them in
// turns. The flags are in --help.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	rounds   int
	duration time.Duration // of one cell
	only     *regexp.Regexp
	without  map[string]bool
	json     string
	kz       string // the program; "" is built
	quick    bool
	goals    bool
}

func parse(args []string) (options, error) {
	o := options{only: regexp.MustCompile(""), without: map[string]bool{}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "how often each cell is measured; medians are printed")
	f.DurationVar(&o.duration, "duration", time.Second, "how long a cell is measured each time")
	f.Func("only", "measure just the rows that match this `regexp`", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
	f.Func("without", "leave out the peers of these `names`, with commas between", func(s string) error {
		for name := range strings.SplitSeq(s, ",") {
			if !isPeer(name) || name == "kz" {
				return fmt.Errorf("%q is none that can be left out", name)
			}
			o.without[name] = true
		}
		return nil
	})
	f.StringVar(&o.json, "json", "", "write every figure of every round to this `file`, too")
	f.StringVar(&o.kz, "kz", "", "measure this `program` instead of one built from these sources")
	f.BoolVar(&o.quick, "quick", false, "one short round, to see that every cell works; its figures say little")
	f.BoolVar(&o.goals, "goals", false, "exit with 1 when a goal is not met")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.rounds < 1 || o.duration <= 0 {
		return o, errors.New("there are no arguments; rounds and duration are more than 0")
	}
	if o.quick {
		o.rounds, o.duration = 1, 100*time.Millisecond
	}
	return o, nil
}

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && strings.HasPrefix(args[0], "@") {
		return runRole(args[0][1:], args[1:])
	}
	if len(args) == 1 && args[0] == "startup" {
		return startup()
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	l, err := newLab(o.kz)
	defer l.close()
	if err != nil {
		return err
	}
	r, err := measure(l, o, allPeers(), allRows())
	return errors.Join(err, r.report(os.Stdout, o))
}
