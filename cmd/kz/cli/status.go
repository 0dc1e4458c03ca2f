package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/resolver"
)

func newStatusCmd(a *app) *cobra.Command {
	var file, env, health string
	var asJSON, metrics bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Resolve each secret and say how it went",
		Long: `Resolve each secret from its store, all at the same time, and say by backend whether each
can be had, why not, and how long it took. A value is never shown. With --metrics nothing is
resolved: the running sessions are asked for their counters, which are printed in the
Prometheus text format. With --health the ` + "`kz proxy --health`" + ` at that address is asked whether it
is ready; the exit code is 1 when it is not, as health checks of images want it.`,
		Example: "  kz status\n  kz status --env production --json\n  kz status --metrics\n  kz status --health 9465",
		Args:    arguments(),
	}
	resolving := a.outsideOnly(func(c *cobra.Command, _ []string) error {
		if metrics {
			return a.printMetrics()
		}
		return a.status(c.Context(), file, env, asJSON)
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		others := asJSON || file != "" || env != ""
		switch {
		case metrics && (others || health != ""):
			return misuse("leave the other flags out", "--metrics is about the running sessions, and their counters are no JSON")
		case health != "" && others:
			return misuse("leave the other flags out", "--health asks one running proxy, and resolves nothing")
		case health != "": // also where kz would refuse itself to a blind child: whoever reaches the address may ask it
			return a.askHealth(c.Context(), health)
		}
		return resolving(c, args)
	}
	configFlags(c, &file, &env)
	c.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	c.Flags().BoolVar(&metrics, "metrics", false, "print the counters of the running sessions, in the Prometheus text format")
	c.Flags().StringVar(&health, "health", "", "ask the proxy at `[ADDRESS:]PORT` whether it is ready, for the health check of an image")
	return c
}

// backendStatus is how the secrets of one backend went.
type backendStatus struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	OK      bool           `json:"ok"`
	Secrets []secretStatus `json:"secrets"`
}

type secretStatus struct {
	Name      string  `json:"name"`
	OK        bool    `json:"ok"`
	LatencyMS float64 `json:"latency_ms"`
	Stale     bool    `json:"stale"`
	Error     string  `json:"error"`
	Hint      string  `json:"hint"`

	err error
}

func (a *app) status(ctx context.Context, file, env string, asJSON bool) error {
	cfg, err := a.load(file, env)
	if err != nil {
		return err
	}
	if err := noConfiguration(cfg); err != nil {
		return err
	}
	cache, err := a.newCache(cfg, nil)
	if err != nil {
		return err
	}
	stop := a.watch(cache, cache.Names(), statusPatience)
	// The report has every failure in its own line.
	_ = cache.ResolveAll(ctx, nil)
	stop()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	all := byBackend(cfg, cache.Report())
	if asJSON {
		if err := printJSON(a.stdout, all); err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(b backendStatus) bool { return !b.OK }) {
			return exitStatus(exitFailure)
		}
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "BACKEND\tNAME\tSTATUS\tLATENCY")
	for _, b := range all {
		for _, s := range b.Secrets {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLine(b.Name), s.Name, s.says(), time.Duration(s.LatencyMS*float64(time.Millisecond)).Round(100*time.Microsecond))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return failures(all)
}

func (s secretStatus) says() string {
	switch {
	case s.Stale && s.err != nil:
		return "stale: " + reason(s.err)
	case s.err != nil:
		return reason(s.err)
	}
	return "ok"
}

// byBackend groups a report, the backends by name and the secrets of each in their order.
func byBackend(cfg *config.Config, report []resolver.Status) []backendStatus {
	var all []backendStatus
	for _, s := range report {
		i := slices.IndexFunc(all, func(b backendStatus) bool { return b.Name == s.Backend })
		if i < 0 {
			i = len(all)
			all = append(all, backendStatus{Name: s.Backend, Type: cfg.Backends[s.Backend].Type, OK: true})
		}
		one := secretStatus{Name: s.Name, OK: s.Err == nil, LatencyMS: milliseconds(s.Latency), Stale: s.Stale, err: s.Err}
		if s.Err != nil {
			all[i].OK = false
			one.Error, one.Hint = told(s.Err)
		}
		all[i].Secrets = append(all[i].Secrets, one)
	}
	slices.SortFunc(all, func(a, b backendStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// failures is what went wrong, the backends in their order.
func failures(all []backendStatus) error {
	var errs []error
	for _, b := range all {
		for _, s := range b.Secrets {
			if s.err != nil {
				errs = append(errs, known(s.err))
			}
		}
	}
	return grouped(errors.Join(errs...))
}

// grouped puts what fails for one reason into one error, which names the secrets: forty secrets of a store that is down
// have one reason, and one hint.
func grouped(err error) error {
	multi, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // what is joined at the top
	if !ok {
		return err
	}
	type why struct{ text, hint string }
	at := map[why]int{}
	var errs []error
	var secrets [][]string
	for _, e := range multi.Unwrap() {
		typed, ok := e.(*resolver.Error) //nolint:errorlint // as a cache returns it
		if !ok {
			errs, secrets = append(errs, e), append(secrets, nil)
			continue
		}
		nameless := *typed
		nameless.Secret = ""
		w := why{nameless.Error(), typed.Hint()}
		i, there := at[w]
		if !there {
			at[w] = len(errs)
			errs, secrets = append(errs, e), append(secrets, []string{typed.Secret})
			continue
		}
		secrets[i] = append(secrets[i], typed.Secret)
		errs[i] = withHint(fmt.Errorf("resolving %s: %s", strings.Join(secrets[i], ", "), w.text), "%s", w.hint)
	}
	return errors.Join(errs...)
}

// reason is why a secret could not be had, in a few words.
func reason(err error) string {
	var e *resolver.Error
	if errors.As(err, &e) {
		return string(e.Kind)
	}
	return "failed"
}
