package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/proxy/policy"
	"kz/resolver"
)

func newValidateCmd(a *app) *cobra.Command {
	var file, env string
	c := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration without contacting a store",
		Long: `Check the configuration: every problem in every file, with its line and column.
No store is contacted and nothing is started.`,
		Example: "  kz validate\n  kz validate --config bundle.yaml",
		Args:    arguments(),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.read(file, env)
			if err != nil {
				return err
			}
			if err := noConfiguration(cfg); err != nil {
				return err
			}
			// Making the stores contacts none, and finds settings that are wrong by themselves.
			if _, err := a.stores(cfg, func() *resolver.Cache { return nil }); err != nil {
				return err
			}
			a.warnUnfit(cfg)
			masked := 0
			for _, s := range cfg.Secrets {
				if s.Masked() {
					masked++
				}
				if s.Service != "" {
					fmt.Fprintf(a.stdout, "%s: to %s (known service %s)\n", s.Name, strings.Join(hostNames(s.Hosts), ", "), s.Service)
				}
			}
			for _, src := range cfg.Sources {
				fmt.Fprintf(a.stdout, "%s: ok\n", src.Path)
			}
			fmt.Fprintf(a.stdout, "%s, %d masked, in %s\n", plural(len(cfg.Secrets), "secret"), masked, plural(len(cfg.Backends), "backend"))
			return nil
		},
	}
	configFlags(c, &file, &env)
	return c
}

// warnUnfit says of each secret that could not be used blind what to write. It is no error: there is plain mode.
func (a *app) warnUnfit(cfg *config.Config) {
	var problems config.Problems
	if !errors.As(cfg.Blind(false), &problems) {
		return
	}
	for _, p := range problems {
		a.ui.Warnf("%v", p)
		if p.Hint != "" {
			a.ui.Hintf("%s", p.Hint)
		}
	}
}

func hostNames(hosts []policy.HostPattern) (names []string) {
	for _, h := range hosts {
		names = append(names, h.String())
	}
	return names
}
