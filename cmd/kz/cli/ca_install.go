package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/ca"
	"kz/ca/truststore"
)

// caInstallFlags are the flags of `kz ca install`.
type caInstallFlags struct {
	Config, Env string
	Yes         string // a fingerprint; "" asks
}

func (c caCommands) installCmd() *cobra.Command {
	var f caInstallFlags
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Make an authority and put it into this machine's trust stores",
		Long: `Make an authority that is bound to the hosts of the configuration and valid for 30 days,
show what trusting it means, ask, and put it into the stores of the system and, where
their tools are installed, of Firefox and Chromium (certutil) and of the JDK in JAVA_HOME.

Without a terminal the first call makes the authority and says its fingerprint; a second
one, with --yes and that fingerprint, installs it. Changing the system's store needs root:
kz calls sudo where there is one.`,
		Example: "  kz ca install\n  kz ca install --yes 3F:8A:…",
		Args:    arguments(),
		RunE: c.outsideOnly(func(cmd *cobra.Command, _ []string) error {
			return c.install(cmd.Context(), f)
		}),
	}
	configFlags(cmd, &f.Config, &f.Env)
	cmd.Flags().StringVar(&f.Yes, "yes", "", "install the kept authority with this `FINGERPRINT` without asking")
	return cmd
}

func (c caCommands) install(ctx context.Context, f caInstallFlags) error {
	cfg, err := c.load(f.Config, f.Env)
	if err != nil {
		return err
	}
	hosts := boundHosts(cfg)
	if len(hosts) == 0 {
		if err := errors.Join(noConfiguration(cfg), cfg.Blind(false)); err != nil {
			return err
		}
		return withHint(errors.New("no masked secret is bound to a host"), "an authority is made for the hosts of the configuration")
	}
	dir, err := c.keptDir()
	if err == nil {
		err = c.notInWorkspace("the key of the authority in", dir)
	}
	if err != nil {
		return err
	}
	if f.Yes != "" {
		return c.installKnown(dir, hosts, f.Yes)
	}
	old, err := ca.KeptCertificate(dir)
	if err != nil && !errors.Is(err, ca.ErrNotKept) {
		return c.explainKept(err)
	}
	if old != nil && old.NotAfter.Sub(c.now()) >= keptMargin && len(uncovered(old, slices.Clone(hosts))) == 0 {
		return c.installKept(ctx, dir)
	}
	return c.installNew(ctx, dir, hosts, old)
}

// installKnown is --yes: it installs what a person has seen, and makes nothing.
func (c caCommands) installKnown(dir string, hosts []string, fingerprint string) error {
	a, err := ca.LoadKept(dir)
	if err != nil {
		return c.explainKept(err)
	}
	cert := a.Certificate()
	if !sameFingerprint(fingerprint, a.Fingerprint()) {
		return withHint(errors.New("the kept authority has another fingerprint than the one given with --yes"),
			"`kz ca status` shows it")
	}
	if missing := uncovered(cert, hosts); len(missing) > 0 {
		return withHint(fmt.Errorf("the kept authority does not cover %s", strings.Join(missing, ", ")),
			"`kz ca uninstall`, then `kz ca install` makes one that does")
	}
	return c.trustEverywhere(cert)
}

// installKept goes on with an authority that is there and good for the configuration.
func (c caCommands) installKept(ctx context.Context, dir string) error {
	a, err := ca.LoadKept(dir)
	if err != nil {
		return c.explainKept(err)
	}
	cert := a.Certificate()
	reports, err := c.stores.status(cert)
	if err == nil && everywhere(reports) {
		c.show(reports)
		c.ui.Notef("already installed; it ends on %s", day(cert.NotAfter))
		return nil
	}
	c.explain(dir, cert)
	if !c.isTerminal(c.stdin) {
		return needsYes(cert)
	}
	if err := c.ask(ctx); err != nil {
		return err
	}
	return c.trustEverywhere(cert)
}

// installNew makes an authority for hosts, and for those of the one it replaces, which other configurations may need.
// Nothing is written or removed before the answer, save without a terminal, where the answer comes with a second call.
func (c caCommands) installNew(ctx context.Context, dir string, hosts []string, old *x509.Certificate) error {
	if old != nil && c.now().Before(old.NotAfter) {
		for _, h := range ca.PermittedHosts(old) {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	a, err := ca.New(ca.Options{Lifetime: ca.KeptLifetime, PermittedHosts: hosts, Now: c.now})
	if err != nil {
		return err
	}
	cert := a.Certificate()
	c.explain(dir, cert)
	if !c.isTerminal(c.stdin) {
		if old != nil {
			return withHint(fmt.Errorf("the kept authority %s must be replaced, and there is no terminal to ask on", old.Subject.CommonName),
				"`kz ca uninstall`, then `kz ca install` again")
		}
		if err := ca.Keep(dir, a); err != nil {
			return err
		}
		return needsYes(cert)
	}
	if old != nil {
		c.ui.Notef("it replaces %s, which ends on %s", old.Subject.CommonName, day(old.NotAfter))
	}
	if err := c.ask(ctx); err != nil {
		return err
	}
	if old != nil {
		if err := c.remove(dir, old); err != nil {
			return err
		}
	}
	if err := ca.Keep(dir, a); err != nil {
		return err
	}
	return c.trustEverywhere(cert)
}

func (c caCommands) trustEverywhere(cert *x509.Certificate) error {
	reports, err := c.stores.install(cert)
	c.show(reports)
	if err != nil {
		return withHint(fmt.Errorf("installing the authority: %w", err), "%s",
			hintOr(err, "once that is mended, `kz ca install` goes on; `kz ca uninstall` takes everything back"))
	}
	if !slices.ContainsFunc(reports, func(r truststore.Report) bool { return r.State == truststore.Trusted }) {
		return withHint(errors.New("installing the authority: there is no trust store here that kz knows"),
			"`kz ca export` prints the certificate; `kz ca uninstall` deletes its key")
	}
	c.ui.Notef("installed until %s; `kz ca uninstall` takes it out again", day(cert.NotAfter))
	c.ui.Hintf("`kz proxy --authority installed` uses it")
	return nil
}

// explain says what trusting means, before it is asked for.
func (c caCommands) explain(dir string, cert *x509.Certificate) {
	c.describe(cert)
	fmt.Fprintf(c.stdout, `
Trusting it means: every program of every user on this machine that reads these stores accepts
what this authority signs, for the hosts above and all names below them, until the date above.
Most programs refuse it for any other host; Java does not check that.
`)
	c.ui.Warnf("its key will be in %s, readable by you alone. Whoever gets it can pose as these hosts toward this machine: never share or copy it",
		filepath.Join(dir, "authority.pem"))
}

func (c caCommands) ask(ctx context.Context) error {
	yes, err := c.confirm(ctx, "Trust it?")
	if err == nil && !yes {
		err = errors.New("the authority was not installed")
	}
	return err
}

func needsYes(cert *x509.Certificate) error {
	return withHint(errors.New("trusting an authority needs a person's approval, and there is no terminal"),
		"check the fingerprint, then: kz ca install --yes %s", ca.Fingerprint(cert))
}

func everywhere(reports []truststore.Report) bool {
	trusted := 0
	for _, r := range reports {
		switch r.State {
		case truststore.Trusted:
			trusted++
		case truststore.Unavailable:
		default:
			return false
		}
	}
	return trusted > 0
}

// sameFingerprint leaves the form to the tool it was copied from: with or without colons, in either case.
func sameFingerprint(given, want string) bool {
	plain := strings.NewReplacer(":", "", " ", "")
	return strings.EqualFold(plain.Replace(given), plain.Replace(want))
}
