package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/resolver"
)

// exitUnhealthy is the exit code of kz backends check when a backend fails.
const exitUnhealthy = 1

func newBackendsCheckCmd(a *app) *cobra.Command {
	var file, env string
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Make a real call to each backend, and say how it went",
		Long: `Make a real call to each backend, or to those that are named, side by side: log in, and
ask for something that is no secret. A store that has no such thing is asked for one of
the secrets that are kept there. No value is shown. Each has 30 seconds. The exit code is
1 when one fails.`,
		Example: "  kz backends check\n  kz backends check vault --json",
		RunE: a.outsideOnly(func(c *cobra.Command, args []string) error {
			return a.checkBackends(c.Context(), file, env, args, asJSON)
		}),
	}
	c.ValidArgsFunction = a.completeBackends(&file, &env)
	configFlags(c, &file, &env)
	c.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	return c
}

// health is how the check of one backend went.
type health struct {
	Name      string  `json:"name"`
	Type      string  `json:"type"`
	OK        bool    `json:"ok"`
	LatencyMS float64 `json:"latency_ms"`
	Error     string  `json:"error"`
	Hint      string  `json:"hint"`
	Note      string  `json:"note,omitempty"`

	err error
}

func (a *app) checkBackends(ctx context.Context, file, env string, names []string, asJSON bool) error {
	cfg, err := a.load(file, env)
	if err != nil {
		return err
	}
	if err := noBackends(cfg); err != nil {
		return err
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(cfg.Backends))
	}
	for _, name := range names {
		if _, ok := cfg.Backends[name]; !ok {
			return misuse("the backends are "+oneLine(sortedKeys(cfg.Backends)), "no backend of that name is configured")
		}
	}
	stores, _, err := a.openStores(cfg, nil)
	if err != nil {
		return err
	}
	all := make([]health, len(names))
	var checks sync.WaitGroup
	var done atomic.Int32
	stop := a.watchLine(statusPatience, func() string {
		return fmt.Sprintf("checking %s: %d done …", plural(len(names), "backend"), done.Load())
	})
	for i, name := range names {
		checks.Go(func() { all[i] = checkBackend(ctx, cfg, name, stores[name]); done.Add(1) })
	}
	checks.Wait()
	stop()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if asJSON {
		err = printJSON(a.stdout, all)
	} else {
		err = a.tellHealth(all)
	}
	if err == nil && slices.ContainsFunc(all, func(h health) bool { return !h.OK }) {
		return exitStatus(exitUnhealthy)
	}
	return err
}

func (a *app) tellHealth(all []health) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTYPE\tSTATUS\tLATENCY")
	for _, h := range all {
		status := "ok"
		switch {
		case !h.OK:
			status = reason(h.err)
		case h.Note != "":
			status = h.Note
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLine(h.Name), h.Type, status, time.Duration(h.LatencyMS*float64(time.Millisecond)).Round(100*time.Microsecond))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, h := range all {
		if !h.OK {
			a.ui.Error(withHint(errors.New(h.Name+": "+h.Error), "%s", h.Hint))
		}
	}
	return nil
}

// checkBackend makes the call. A store that does not heed its time limit is left behind.
func checkBackend(ctx context.Context, cfg *config.Config, name string, store resolver.Resolver) health {
	h := health{Name: name, Type: cfg.Backends[name].Type, OK: true}
	ctx, cancel := context.WithTimeout(ctx, resolver.DefaultTimeout)
	defer cancel()
	type outcome struct {
		note string
		err  error
	}
	done := make(chan outcome, 1)
	began := time.Now()
	go func() {
		note, err := checkStore(ctx, cfg, name, store)
		done <- outcome{note, err}
	}()
	var out outcome
	select {
	case out = <-done:
	case <-ctx.Done():
		out.err = resolver.Transport(ctx.Err())
	}
	h.LatencyMS = milliseconds(time.Since(began))
	h.Note = out.note
	if out.err != nil {
		h.OK, h.err = false, out.err
		h.Error, h.Hint = told(out.err)
	}
	return h
}

// told is what is said of a store's failure.
func told(err error) (text, hint string) {
	e := known(err)
	return e.Error(), e.Hint()
}

// known is a store's failure as what may be shown of it: of one that is no *resolver.Error nothing is known, its text least
// of all.
func known(err error) *resolver.Error {
	var e *resolver.Error
	if !errors.As(err, &e) {
		e = resolver.Transport(err)
	}
	return e
}

// opened is a store, or what is behind one whose credentials are secrets: that has the abilities, while the store in front
// looks for other credentials when they are refused.
func opened(ctx context.Context, store resolver.Resolver) (resolver.Resolver, error) {
	if chained, ok := store.(*chainedStore); ok {
		return chained.open(ctx)
	}
	return store, nil
}

func checkStore(ctx context.Context, cfg *config.Config, name string, store resolver.Resolver) (note string, err error) {
	able, err := opened(ctx, store)
	if err != nil {
		return "", err
	}
	if _, ok := able.(resolver.Checker); ok {
		return "", check(ctx, store)
	}
	i := slices.IndexFunc(cfg.Secrets, func(s config.Secret) bool { return s.Backend == name })
	if i < 0 {
		return "nothing to check", nil
	}
	_, err = store.Resolve(ctx, cfg.Secrets[i].Ref)
	return "", err
}

// milliseconds has three digits behind the point.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func sortedKeys[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
