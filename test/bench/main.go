// Command bench measures kz beside what it is compared with, in one run, and prints medians and ratios.
//
//	go run ./test/bench startup
package main

import (
	"fmt"
	"os"
	"runtime"
)

var benchmarks = map[string]func() error{"startup": startup}

func main() {
	if len(os.Args) != 2 || benchmarks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/bench startup")
		os.Exit(2)
	}
	fmt.Printf("%s %s/%s, %d cores\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if err := benchmarks[os.Args[1]](); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
