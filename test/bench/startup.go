package main

import (
	"fmt"
	"io"
	"time"
)

const (
	startupRounds = 60
	startupWarm   = 5
	startupBound  = 40 * time.Millisecond // what `kz run --blind` may add, by median
)

// startup measures what `kz run --blind` adds to a program: the wall time of `true` by itself, under a bare Go program
// that only starts it and waits, and under kz with one secret of a dotenv file. The three take turns, so that what else
// the machine does falls on all of them.
func startup(b *bench, w io.Writer) (ok bool, err error) {
	kz, err := b.build("kz", "./cmd/kz")
	if err != nil {
		return false, err
	}
	bare, err := b.build("bare", "./test/bench/bare")
	if err != nil {
		return false, err
	}
	if err := b.write("secrets.env", "API_KEY='k-0123456789abcdefghijklmnopqrstuvwxyz'\n"); err != nil {
		return false, err
	}
	if err := b.write("bundle.toml", "[backends.local]\ntype = \"env_file\"\npath = \"secrets.env\"\n\n[secrets.API_KEY]\nbackend = \"local\"\nname = \"API_KEY\"\nhosts = [\"api.example.com\"]\n"); err != nil {
		return false, err
	}
	programs := []struct {
		name string
		argv []string
		took []time.Duration
	}{
		{name: "true", argv: []string{"true"}},
		{name: "bare Go program that runs true", argv: []string{bare, "true"}},
		{name: "kz run --quiet --blind -- true", argv: []string{kz, "run", "--quiet", "--blind", "--config", b.path("bundle.toml"), "--", "true"}},
	}
	for round := range startupWarm + startupRounds {
		for i := range programs {
			p := &programs[i]
			d, err := b.wall(p.argv)
			if err != nil {
				return false, fmt.Errorf("running %s: %w", p.name, err)
			}
			if round >= startupWarm {
				p.took = append(p.took, d)
			}
		}
	}
	fmt.Fprintf(w, "start-up: %d rounds that take turns, after %d to warm up; wall time from start to exit\n", startupRounds, startupWarm)
	for _, p := range programs {
		fmt.Fprintf(w, "  %-32s median %9s   p10 %9s   p90 %9s\n", p.name, ms(percentile(50, p.took)), ms(percentile(10, p.took)), ms(percentile(90, p.took)))
	}
	alone, go1, blind := percentile(50, programs[0].took), percentile(50, programs[1].took), percentile(50, programs[2].took)
	added := blind - alone
	fmt.Fprintf(w, "  kz adds %s to true, and %s to the bare Go program, which adds %s: %.1f times as much\n",
		ms(added), ms(blind-go1), ms(go1-alone), float64(added)/float64(max(go1-alone, time.Microsecond)))
	fmt.Fprintf(w, "  bound: %s added by median: %s\n  machine: %s\n", ms(startupBound), map[bool]string{true: "kept", false: "passed"}[added <= startupBound], machine())
	return added <= startupBound, nil
}
