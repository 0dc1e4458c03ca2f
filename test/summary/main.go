// Command summary reads the output of `go test -json` and tells it calmly: a line
// per package as it ends, the output of what failed, and the counts.
//
//	go test -json ./... | go run ./test/summary
//	ok    kz/masking  (41 tests, 3.1 s)
//	…
//	512 passed, 0 failed, 1 skipped
//
// It exits with 1 when something failed, when nothing passed, or, with -strict, when
// a test was skipped that is not in maySkip.
//
// With -again FILE it exits with 3 in place of 1 when all that failed may be run again:
// few tests, each of them in measuresTime. FILE then has a line for each package, its
// name and a pattern for -run.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// maySkip are the tests that may be skipped where every part is required, and why.
var maySkip = map[string]string{}

func main() {
	strict := flag.Bool("strict", false, "fail when a test is skipped")
	since := flag.Int64("since", 0, "tell how long it is since this Unix time")
	again := flag.String("again", "", "write what may be run again to this `file`")
	flag.Parse()
	s := newSummary(os.Stdout, maySkip)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if *since > 0 {
		fmt.Printf("total: %d s\n", time.Now().Unix()-*since)
	}
	if s.finish(*strict) {
		return
	}
	if lines := s.again(); *again != "" && len(lines) > 0 {
		if err := os.WriteFile(*again, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "summary:", err)
			os.Exit(1)
		}
		os.Exit(3)
	}
	os.Exit(1)
}
