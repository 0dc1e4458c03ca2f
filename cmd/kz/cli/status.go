package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kz/resolver"
)

func newStatusCmd(a *app) *cobra.Command {
	var file, env string
	c := &cobra.Command{
		Use:   "status",
		Short: "Resolve each secret and say how it went",
		Long: `Resolve each secret from its store, all at the same time, and say for each whether it
can be had, why not, and how long it took. A value is never shown.`,
		Example: "  kz status\n  kz status --env production",
		Args:    arguments(),
		RunE: a.outsideOnly(func(c *cobra.Command, _ []string) error {
			return a.status(c.Context(), file, env)
		}),
	}
	configFlags(c, &file, &env)
	return c
}

func (a *app) status(ctx context.Context, file, env string) error {
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
	// The report has every failure in its own line.
	_ = cache.ResolveAll(ctx, nil)
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tBACKEND\tSTATUS\tLATENCY")
	var errs []error
	for _, s := range cache.Report() {
		status := "ok"
		if s.Err != nil {
			status = reason(s.Err)
			errs = append(errs, s.Err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Backend, status, s.Latency.Round(100*time.Microsecond))
	}
	if err := w.Flush(); err != nil {
		return err
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
