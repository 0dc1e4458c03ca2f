package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/test/bench/load"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "@") {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestRun measures a row of each kind with real processes.
func TestRun(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	err := run([]string{"--quick", "--without", "mitmproxy", "--json", file, "--only", "^(http/1.1, 1 client|h2, 16 streams|connections, resumed TLS|bulk up, http/1.1|events, http/1.1|memory|scanning for 10 masks|start of a program)$"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Peers []string
		Rows  []struct {
			Row, Unit string
			Rounds    map[string][]*float64
		}
		Goals []struct{ Goal string }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if want := []string{"direct", "tunnel", "relay", "reverse", "goproxy", "kz"}; !slices.Equal(got.Peers, want) {
		t.Errorf("peers %v", got.Peers)
	}
	units := map[string]bool{}
	for _, r := range got.Rows {
		units[r.Row+", "+r.Unit] = true
		for _, p := range got.Peers {
			if r.Unit == perSecond && (len(r.Rounds[p]) != 1 || r.Rounds[p][0] == nil || *r.Rounds[p][0] <= 0) {
				t.Errorf("%s through %s has no figure", r.Row, p)
			}
		}
		if len(r.Rounds["kz"]) != 1 || r.Rounds["kz"][0] == nil {
			t.Errorf("%s, %s has no figure for kz", r.Row, r.Unit)
		}
	}
	for _, want := range []string{
		"http/1.1, 1 client, p99 µs", "http/1.1, 1 client, CPU µs each", "h2, 16 streams, /s", "connections, resumed TLS, % resumed", "bulk up, http/1.1, MB/s",
		"events, http/1.1, head µs", "memory, " + startMB, "memory, " + overSDKs, "memory, " + idleKiB, "memory, " + streamKiB, "memory, " + h2KiB,
		"scanning for 10 masks, GB/s", "start of a program, " + addedKZ,
	} {
		if !units[want] {
			t.Errorf("%s was not measured", want)
		}
	}
	if len(got.Goals) < 8 {
		t.Errorf("%d goals", len(got.Goals))
	}
}

// bare is a peer that needs no process.
func bare(name string) peer {
	return peer{name, func(*lab) (*load.Route, *process, error) { return &load.Route{}, nil, nil }}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	say := func(value float64) func(c *cell) error {
		return func(c *cell) error { c.say(perSecond, value); return nil }
	}
	fails := func(*cell) error { return errors.New("no luck") }
	missing := peer{"mitmproxy", func(*lab) (*load.Route, *process, error) { return nil, nil, errMissing }}
	o, err := parse([]string{"--rounds", "3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("has the peers take turns, each round beginning with another", func(t *testing.T) {
		var order []string
		rows := []row{{name: "a", run: func(c *cell) error {
			order = append(order, c.peer.name)
			return say(float64(len(order)))(c)
		}}}
		r, err := measure(&lab{}, o, []peer{bare("direct"), bare("kz")}, rows)
		if err != nil || strings.Join(order, " ") != "direct kz kz direct direct kz" {
			t.Error(order, err)
		}
		if got := r.values("a", perSecond, "kz"); !slices.Equal(got, []float64{2, 3, 6}) {
			t.Error(got)
		}
	})
	t.Run("runs a row that is alone once a round", func(t *testing.T) {
		r, err := measure(&lab{}, o, []peer{bare("direct"), bare("kz")}, []row{{"a", true, say(1)}})
		if err != nil || len(r.values("a", perSecond, "kz")) != 3 || r.values("a", perSecond, "direct") != nil {
			t.Error(err, r.series)
		}
	})
	for _, c := range []struct {
		name  string
		args  []string
		peers []peer
		row   row
		err   string // "" none
		note  string
	}{
		{"fails with a cell", nil, []peer{bare("direct"), bare("kz")}, row{name: "a", run: fails}, "a through kz: no luck", ""},
		{"fails with a rate of 0", nil, []peer{bare("kz")}, row{name: "a", run: say(0)}, "a through kz: nothing was measured", ""},
		{"fails with a rate that is none", nil, []peer{bare("kz")}, row{name: "a", run: say(math.NaN())}, "a through kz: nothing was measured", ""},
		{"fails when a peer is missing", nil, []peer{missing, bare("kz")}, row{name: "a", run: say(1)}, "--without mitmproxy", "mitmproxy is not installed"},
		{"does not miss a peer that is left out", []string{"--without", "mitmproxy"}, []peer{missing, bare("kz")}, row{name: "a", run: say(1)}, "", ""},
		{"notes what a peer is known not to do", nil, []peer{bare("goproxy"), bare("kz")}, row{name: "events, h2", run: func(c *cell) error {
			if c.peer.name == "goproxy" {
				return errors.New("no luck")
			}
			return say(1)(c)
		}}, "", "goproxy has no figure for events, h2"},
		{"fails without rows", []string{"--only", "nothing"}, []peer{bare("kz")}, row{name: "a", run: say(1)}, "nothing to measure", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := parse(c.args)
			if err != nil {
				t.Fatal(err)
			}
			r, err := measure(&lab{}, o, c.peers, []row{c.row})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("the error is %v", err)
			}
			if strings.Join(r.notes, "") != "" != (c.note != "") || !strings.Contains(strings.Join(r.notes, ""), c.note) {
				t.Errorf("the notes are %q", r.notes)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"--rounds", "7", "--duration", "2s", "--only", "^h2", "--without", "goproxy,relay", "--goals"})
	if err != nil || o.rounds != 7 || o.duration != 2*time.Second || !o.only.MatchString("h2, x") || o.only.MatchString("net/http h2") ||
		!o.without["goproxy"] || !o.without["relay"] || o.without["direct"] || !o.goals || o.quick {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := parse([]string{"--quick"}); err != nil || o.rounds != 1 || o.duration > time.Second/2 {
		t.Errorf("%+v %v", o, err)
	}
	for _, wrong := range []string{"--rounds=0", "--duration=0s", "--only=(", "--without=nobody", "--without=kz", "startup"} {
		if _, err := parse([]string{wrong}); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func TestMissingMitmproxy(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, _, err := startMitmproxy(&lab{}); !errors.Is(err, errMissing) {
		t.Error(err)
	}
}
