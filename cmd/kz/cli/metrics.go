package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kz/resolver"
)

// The counters of a session, in the Prometheus text format (exposition format 0.0.4). They are by backend: the names of
// secrets are not in them, let alone values.
var metricFamilies = []struct {
	name, kind, help string
	samples          func(backendCounts) []sample
}{
	{"kz_secret_uses_total", "counter", "How often the value of a secret was asked for.",
		func(c backendCounts) []sample { return []sample{{n: c.Uses}} }},
	{"kz_cache_hits_total", "counter", "How often a fresh value was kept already.",
		func(c backendCounts) []sample { return []sample{{n: c.Hits}} }},
	{"kz_retrievals_total", "counter", "How often a value was fetched from its store, or was to be.",
		func(c backendCounts) []sample { return []sample{{n: c.Calls}} }},
	{"kz_retrieval_failures_total", "counter", "How often a store could not give a value, by reason.", failureSamples},
	{"kz_rotations_total", "counter", "How often a store gave another value than the one before.",
		func(c backendCounts) []sample { return []sample{{n: c.Rotations}} }},
	{"kz_stale_secrets", "gauge", "Secrets that are past their refresh time and still served.",
		func(c backendCounts) []sample { return []sample{{n: c.stale}} }},
}

// metricsType is the media type of that format.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

type sample struct {
	label, value string // one beside those of every sample; "" for none
	n            int
}

type backendCounts struct {
	resolver.Counts
	stale int
}

// failureKinds are there from the start, with 0: a rate cannot be told of a series that begins with its first failure.
var failureKinds = []resolver.Kind{resolver.NotFound, resolver.AccessDenied, resolver.DecryptionFailed, resolver.Throttled,
	resolver.Unavailable, resolver.TimedOut, resolver.InvalidReference, resolver.FieldMissing}

func failureSamples(c backendCounts) []sample {
	kinds := slices.Clone(failureKinds)
	for kind := range c.Failures {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	var out []sample
	for _, kind := range kinds {
		out = append(out, sample{"kind", strings.ReplaceAll(string(kind), " ", "_"), c.Failures[kind]})
	}
	return out
}

// metricsOf writes what a session's cache has counted.
func metricsOf(session string, report []resolver.Status) string {
	counts := map[string]backendCounts{}
	for name, c := range resolver.ByBackend(report) {
		counts[name] = backendCounts{Counts: c}
	}
	for _, s := range report {
		if s.Stale {
			c := counts[s.Backend]
			c.stale++
			counts[s.Backend] = c
		}
	}
	var b strings.Builder
	for _, f := range metricFamilies {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			for _, s := range f.samples(counts[name]) {
				fmt.Fprintf(&b, `%s{session="%s",backend="%s"`, f.name, labelValue(session), labelValue(name))
				if s.label != "" {
					fmt.Fprintf(&b, `,%s="%s"`, s.label, labelValue(s.value))
				}
				b.WriteString("} " + strconv.Itoa(s.n) + "\n")
			}
		}
	}
	return b.String()
}

// labelValue escapes as the format says. What is not printable has no place in a label.
func labelValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(oneLine(s))
}

// mergeMetrics puts the counters of several sessions into one text: in it each family stands once, with all its samples.
func mergeMetrics(texts []string) string {
	heads := map[string][]string{}
	samples := map[string][]string{}
	var order []string
	for _, text := range texts {
		family := ""
		for line := range strings.Lines(text) {
			line = oneLine(strings.TrimSuffix(line, "\n")) + "\n"
			if !strings.HasPrefix(line, "#") {
				if family != "" {
					samples[family] = append(samples[family], line)
				}
				continue
			}
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[1] != "HELP" && fields[1] != "TYPE" {
				continue
			}
			if family = fields[2]; heads[family] == nil {
				order = append(order, family)
			}
			if !slices.Contains(heads[family], line) && len(heads[family]) < 2 {
				heads[family] = append(heads[family], line)
			}
		}
	}
	var b strings.Builder
	for _, family := range order {
		b.WriteString(strings.Join(heads[family], "") + strings.Join(samples[family], ""))
	}
	return b.String()
}

// metricsPatience is how long a session may take to give its counters.
const metricsPatience = 5 * time.Second

// printMetrics asks every session of this user for its counters.
func (a *app) printMetrics() error {
	sockets, whole := a.controlSockets()
	replies := make([]controlReply, len(sockets))
	errs := make([]error, len(sockets))
	var all sync.WaitGroup
	for i, path := range sockets {
		all.Go(func() { replies[i], errs[i] = askControl(path, opMetrics, metricsPatience) })
	}
	all.Wait()
	var texts []string
	var problems []error
	if !whole {
		problems = append(problems, fmt.Errorf("there are more than %d control sockets; not every session was asked", maxControlSockets))
	}
	for i, r := range replies {
		switch {
		case errs[i] != nil && isRefused(errs[i]): // its process was killed
		case errors.Is(errs[i], errPlanted):
			a.ui.Warnf("%s is no session: %v", oneLine(sockets[i]), errPlanted)
		case errs[i] != nil:
			problems = append(problems, fmt.Errorf("a session did not answer: %s", oneLine(sockets[i])))
		case len(r.Errors) > 0:
			problems = append(problems, fmt.Errorf("%s %s: %s", r.Command, r.Session, strings.Join(r.Errors, "; ")))
		default:
			texts = append(texts, r.Metrics)
		}
	}
	if len(texts) > 0 {
		if _, err := io.WriteString(a.stdout, mergeMetrics(texts)); err != nil {
			return err
		}
	} else if len(problems) == 0 {
		return withHint(errors.New("no session of this user is running"), "`kz proxy` or `kz run --blind` starts one")
	}
	return errors.Join(problems...)
}
