package cli

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kz/ca"
	"kz/ca/truststore"
	"kz/cmd/kz/config"
)

// keptMargin is what must be left of a kept authority for `kz ca install` to go on with it.
const keptMargin = 7 * 24 * time.Hour

// trustStores is how the commands reach the machine's trust stores.
type trustStores struct {
	install, uninstall, status func(*x509.Certificate) ([]truststore.Report, error)
	strays                     func(*x509.Certificate) []string
}

func newCACmd(a *app) *cobra.Command {
	return caCommand(a, trustStores{truststore.Install, truststore.Uninstall, truststore.Status, truststore.Strays})
}

// caCommands is `kz ca`: the kept authority and where it is trusted.
type caCommands struct {
	*app
	stores trustStores
}

func caCommand(a *app, stores trustStores) *cobra.Command {
	c := caCommands{a, stores}
	return group(&cobra.Command{
		Use:   "ca",
		Short: "The authority that this machine's programs can be made to trust",
		Long: `A blind run has an authority of its own, which its program is told about by the
environment and which dies with it. Programs that read only the system's trust store need
one that is kept: kz ca install makes it, bound to the hosts of the configuration and valid
for 30 days, and kz proxy --authority installed uses it.`,
	}, c.exportCmd(), c.installCmd(), c.uninstallCmd(), c.statusCmd())
}

func (c caCommands) exportCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Print the kept authority's certificate, which is public",
		Example: "  kz ca export --out kz-ca.pem",
		Args:    arguments(),
		RunE:    func(*cobra.Command, []string) error { return c.export(out) },
	}
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE` (mode 0644) and not to standard output")
	return cmd
}

func (c caCommands) export(out string) error {
	dir, err := c.keptDir()
	if err != nil {
		return err
	}
	cert, err := ca.KeptCertificate(dir)
	if err != nil {
		return c.explainKept(err)
	}
	if !c.now().Before(cert.NotAfter) {
		c.ui.Warnf("this authority ended on %s", day(cert.NotAfter))
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if out == "" {
		_, err = c.stdout.Write(block)
		return err
	}
	return writeFileMode(out, block, 0o644) // public, and for clients of other users
}

func (c caCommands) uninstallCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "uninstall",
		Short:   "Take the authority out of the trust stores, delete its key",
		Example: "  kz ca uninstall",
		Args:    arguments(),
		RunE:    c.outsideOnly(func(*cobra.Command, []string) error { return c.uninstall() }),
	}
}

func (c caCommands) uninstall() error {
	dir, err := c.keptDir()
	if err != nil {
		return err
	}
	cert, err := ca.KeptCertificate(dir)
	switch {
	case errors.Is(err, ca.ErrNotKept):
		c.ui.Notef("no authority is kept: nothing to remove")
		c.warnStrays(nil)
		return ca.RemoveKept(dir) // what an interrupted install left
	case err != nil:
		c.warnStrays(nil)
		return c.explainKept(err)
	}
	if err := c.remove(dir, cert); err != nil {
		return err
	}
	c.warnStrays(cert)
	c.ui.Notef("removed the authority and its key")
	return nil
}

// remove takes cert out of the stores and only then deletes its key: the kept file is how a removal that was cut short
// finds the certificate again.
func (c caCommands) remove(dir string, cert *x509.Certificate) error {
	reports, err := c.stores.uninstall(cert)
	c.show(reports)
	if err != nil {
		return withHint(fmt.Errorf("removing the authority from the trust stores: %w", err), "%s",
			hintOr(err, "once that is mended, `kz ca uninstall` goes on where it stopped"))
	}
	return ca.RemoveKept(dir)
}

func (c caCommands) statusCmd() *cobra.Command {
	var file, env string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Say where it is trusted, until when and for which hosts",
		Example: "  kz ca status",
		Args:    arguments(),
		RunE:    func(*cobra.Command, []string) error { return c.status(file, env) },
	}
	configFlags(cmd, &file, &env)
	return cmd
}

func (c caCommands) status(file, env string) error {
	dir, err := c.keptDir()
	if err != nil {
		return err
	}
	cert, err := ca.KeptCertificate(dir)
	if errors.Is(err, ca.ErrNotKept) {
		fmt.Fprintln(c.stdout, "no authority is kept; `kz ca install` makes one")
		c.warnStrays(nil)
		return nil
	}
	if err != nil {
		return c.explainKept(err)
	}
	c.describe(cert)
	reports, err := c.stores.status(cert)
	c.show(reports)
	c.warnStrays(cert)
	if left := cert.NotAfter.Sub(c.now()); left < keptMargin {
		c.ui.Hintf("`kz ca install` replaces it by a new one")
	}
	cfg, readErr := c.read(file, env)
	if readErr != nil {
		c.ui.Warnf("the hosts of the configuration are not compared, since it cannot be read; see `kz validate`")
		return err
	}
	if missing := uncovered(cert, boundHosts(cfg)); len(missing) > 0 {
		fmt.Fprintf(c.stdout, "not covered  %s\n", strings.Join(missing, "\n             "))
		c.ui.Hintf("`kz ca install` replaces it by one that covers them too")
	}
	return err
}

// describe prints what there is to know about the authority before trusting it.
func (c caCommands) describe(cert *x509.Certificate) {
	ends := day(cert.NotAfter)
	switch left := cert.NotAfter.Sub(c.now()); {
	case left <= 0:
		ends += " (it has ended)"
	default:
		ends += fmt.Sprintf(" (in %d days)", int(left.Hours()/24))
	}
	fmt.Fprintf(c.stdout, "authority    %s\nfingerprint  %s\nends         %s\nhosts        %s\n", cert.Subject.CommonName,
		ca.Fingerprint(cert), ends, strings.Join(ca.PermittedHosts(cert), "\n             "))
}

// show prints one line per store.
func (c caCommands) show(reports []truststore.Report) {
	for _, r := range reports {
		state := r.State.String()
		switch {
		case r.Err != nil:
			state = "error"
		case r.State == truststore.Absent:
			state = "not trusted"
		case r.State == truststore.Partial:
			state = "partly installed"
		}
		if r.Note != "" {
			state += " (" + r.Note + ")"
		}
		fmt.Fprintf(c.stdout, "%-12s %s\n", r.Store, printable(state))
	}
}

// warnStrays names what this command will not touch: it may be another user's.
func (c caCommands) warnStrays(own *x509.Certificate) {
	if strays := c.stores.strays(own); len(strays) > 0 {
		c.ui.Warnf("the system trusts other authorities of kz, another user's or from a lost state directory:\n%s", strings.Join(strays, "\n"))
	}
}

func (c caCommands) keptDir() (string, error) {
	dir, err := c.stateDir()
	return filepath.Join(dir, "ca"), err
}

func (c caCommands) explainKept(err error) error {
	switch {
	case errors.Is(err, ca.ErrNotKept):
		return withHint(errors.New("no authority is kept"),
			"`kz ca install` makes one; the authority of a run is the file that NODE_EXTRA_CA_CERTS names in its program")
	case errors.Is(err, ca.ErrUnsafeFile):
		return withHint(err, "the key may be known to others: remove it, then `kz ca install` makes a new one")
	}
	return withHint(err, "remove that file, then `kz ca install` makes a new one")
}

// boundHosts lists the hosts that the configuration binds masked secrets to, as patterns without ports.
func boundHosts(cfg *config.Config) []string {
	var hosts []string
	for _, s := range cfg.Secrets {
		if !s.Masked() {
			continue
		}
		for _, p := range s.Hosts {
			h := p.Host()
			if p.Below() {
				h = "*." + h
			}
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func uncovered(cert *x509.Certificate, hosts []string) []string {
	return slices.DeleteFunc(hosts, func(h string) bool { return ca.Permits(cert, h) })
}

// hintOr is the hint an error brings, or another one.
func hintOr(err error, other string) string {
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		return h.Hint()
	}
	return other
}

func day(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }
