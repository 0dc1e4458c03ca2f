package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

func newTrustCmd(a *app) *cobra.Command {
	var yes []string
	c := &cobra.Command{
		Use:   "trust [FILE]",
		Short: "Approve a configuration file that was found in a workspace",
		Long: `A configuration file in a workspace decides where secrets go, so each one is approved
once, by its path and its content. kz trust shows what it would allow and asks. When the
file changes it has to be approved again; and when a later kz knows other hosts or
places for the services in it.`,
		Example: "  kz trust\n  kz trust --yes HASH",
		Args:    cobra.MaximumNArgs(1),
		RunE: a.outsideOnly(func(c *cobra.Command, args []string) error {
			file := ""
			if len(args) == 1 {
				file = args[0]
			}
			return a.trust(c.Context(), file, yes)
		}),
	}
	c.Flags().StringSliceVar(&yes, "yes", nil, "approve the content with this SHA-256 `HASH` without asking")
	return c
}

func (a *app) trust(ctx context.Context, file string, yes []string) error {
	cfg, err := a.read(file, "")
	if err != nil {
		return err
	}
	store, err := a.openTrust()
	if err != nil {
		return err
	}
	summaries, err := a.awaiting(cfg, store, file)
	if err != nil {
		return err
	}
	if len(summaries) == 0 {
		if !slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Discovered }) {
			if err := noConfiguration(cfg); err != nil {
				return err
			}
		}
		a.ui.Notef("every configuration file found here is approved")
		return nil
	}
	var refused []error
	for _, s := range summaries {
		fmt.Fprint(a.stdout, s.String())
		switch {
		case slices.Contains(yes, s.Source.SHA256):
		case len(yes) > 0:
			refused = append(refused, withHint(fmt.Errorf("%s has another content than the one approved with --yes", s.Source.Path),
				"read it, then use --yes %s", s.Source.SHA256))
			continue
		case !a.isTerminal(a.stdin):
			refused = append(refused, withHint(fmt.Errorf("%s needs a person's approval, and there is no terminal", s.Source.Path),
				"in a script: `kz trust --yes %s`", s.Source.SHA256))
			continue
		default:
			yes, err := a.confirm(ctx, "Approve it?")
			if err != nil {
				return err
			}
			if !yes {
				refused = append(refused, fmt.Errorf("%s was not approved", s.Source.Path))
				continue
			}
		}
		if err := a.approve(ctx, store, s.Source); err != nil {
			return err
		}
		a.ui.Notef("approved %s", s.Source.Path)
	}
	return errors.Join(refused...)
}

func (a *app) approve(ctx context.Context, store *config.TrustStore, s config.Source) error {
	done, err := a.editing(ctx)
	if err != nil {
		return err
	}
	defer done()
	return store.Approve(s.RealPath, s.Approval())
}

// awaiting lists what is to be approved: the given file, or every discovered one whose content is not approved yet.
func (a *app) awaiting(cfg *config.Config, store *config.TrustStore, file string) ([]config.Summary, error) {
	real := ""
	if file != "" {
		dir, err := a.cwd()
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if real, err = filepath.EvalSymlinks(file); err != nil {
			return nil, fmt.Errorf("finding the file: %w", err)
		}
	}
	var out []config.Summary
	untrusted := cfg.Untrusted(store)
	for _, s := range cfg.Describe() {
		if file == "" && slices.Contains(untrusted, s.Source) || file != "" && s.Source.RealPath == real && !store.Approved(real, s.Source.Approval()) {
			out = append(out, s)
		}
	}
	return out, nil
}
