package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/masking"
	"kz/proxy/policy"
)

type explainFlags struct {
	Config, Env, Audit string
	JSON               bool
}

func newExplainCmd(a *app) *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain NAME",
		Short: "Say where a secret lives and may go, and what was done with it",
		Long: `Say of one secret where it lives, which hosts and places it is bound to and by
what, what a blind program has of it, and what the audit knows: where it was
swapped, where it was withheld and why, with what to write if it should not
have been, and what was taken out of answers.

Nothing is fetched from a store, and a value is never shown. The audit is that
of this machine's latest sessions, whatever directory they were started in.`,
		Example: "  kz explain STRIPE_KEY\n  kz explain STRIPE_KEY --json",
		Args:    arguments("NAME"),
		RunE:    func(c *cobra.Command, args []string) error { return a.explain(c.Context(), f, args[0]) },
	}
	configFlags(c, &f.Config, &f.Env)
	c.Flags().StringVar(&f.Audit, "audit", "", "read this `FILE` instead of the latest sessions'")
	c.Flags().BoolVar(&f.JSON, "json", false, "print it as JSON")
	c.ValidArgsFunction = a.completeSecrets(&f.Config, &f.Env)
	return c
}

// explanation is what `kz explain` knows. Its field names are a contract.
type explanation struct {
	Name     string     `json:"name"`
	Defined  string     `json:"defined"` // file:line:column
	Approved bool       `json:"approved"`
	Lives    lives      `json:"lives"`
	Hosts    []string   `json:"hosts"`
	Denied   []string   `json:"denied,omitempty"`  // those of the hosts that egress refuses all the same
	Service  string     `json:"service,omitempty"` // the known one that the hosts are from
	Places   []string   `json:"places"`
	Child    string     `json:"child"` // masked, omit or plain
	Mask     string     `json:"mask"`  // its shape
	History  happenings `json:"history"`

	secret config.Secret
}

type lives struct {
	Backend string `json:"backend"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Field   string `json:"field,omitempty"`
}

// explain is `kz explain NAME`. It shows what the files and the audit say, so that it may be run anywhere.
func (a *app) explain(ctx context.Context, f explainFlags, name string) error {
	cfg, err := a.read(f.Config, f.Env)
	if err != nil {
		return err
	}
	if err := noConfiguration(cfg); err != nil {
		return err
	}
	sec, err := secretNamed(cfg, name)
	if err != nil {
		return err
	}
	e := explanationOf(cfg, sec)
	trust, err := a.openTrust()
	if err != nil {
		return err
	}
	e.Approved = len(cfg.Untrusted(trust)) == 0
	if e.History, err = a.history(ctx, e.secret, f.Audit); err != nil {
		return err
	}
	if f.JSON {
		return printJSON(a.stdout, e)
	}
	return e.print(a)
}

func explanationOf(cfg *config.Config, s config.Secret) explanation {
	e := explanation{Name: s.Name, Defined: s.Pos.String(), Service: s.Service, Child: s.Expose, Mask: s.Mask, Hosts: []string{}, secret: s,
		Lives: lives{s.Backend, cfg.Backends[s.Backend].Type, whereIn(s), s.Ref.Field}}
	if s.Plain {
		e.Child = config.ExposePlain
	}
	if e.Mask == "" {
		e.Mask = "{mask}"
	}
	for _, h := range s.Hosts {
		e.Hosts = append(e.Hosts, h.String())
		if denied(cfg.Egress.Deny, h) {
			e.Denied = append(e.Denied, h.String())
		}
	}
	for _, p := range s.Places {
		e.Places = append(e.Places, p.String())
	}
	return e
}

// denied reports whether deny covers all that a binding names.
func denied(deny []policy.HostPattern, bound policy.HostPattern) bool {
	name, below := strings.CutPrefix(bound.String(), "*.")
	if below {
		name = "any-host-at-all." + name
	}
	at, err := policy.ParseAuthority(name, 443)
	return err == nil && slices.ContainsFunc(deny, func(d policy.HostPattern) bool { return d.Match(at) })
}

// whereIn is what a store knows the secret by.
func whereIn(s config.Secret) string {
	switch {
	case s.Ref.RoleARN != "":
		return s.Ref.RoleARN
	case s.Ref.ID != "":
		return s.Ref.ID
	}
	return s.Name
}

func (e explanation) print(a *app) error {
	var b strings.Builder
	row := func(what string, lines ...string) {
		for _, l := range lines {
			fmt.Fprintf(&b, "%-9s  %s\n", what, oneLine(l))
			what = ""
		}
	}
	from := fmt.Sprintf("%s in backend %s (%s)", e.Lives.Name, e.Lives.Backend, e.Lives.Type)
	if e.Lives.Field != "" {
		from = "the field " + e.Lives.Field + " of " + from
	}
	row(e.Name, "defined at "+e.Defined)
	row("lives", from)
	switch {
	case len(e.Hosts) > 0 && e.Service != "":
		row("may go to", strings.Join(e.Hosts, ", "), "(as kz knows "+e.Service+"; the file gives no hosts)")
	case len(e.Hosts) > 0:
		row("may go to", strings.Join(e.Hosts, ", "))
	default:
		row("may go to", "no host: nothing is swapped")
	}
	if len(e.Denied) > 0 {
		row("", "but not to "+strings.Join(e.Denied, ", ")+", which deny in [egress] refuses")
	}
	if len(e.Hosts) > 0 && e.Child != config.ExposeMasked {
		row("", "but nothing is swapped: there is no mask of it")
	}
	row("in places", strings.Join(e.Places, ", "))
	switch e.Child {
	case config.ExposeMasked:
		row("a blind", "program has "+e.shape()+" in "+e.Name)
	case config.ExposeOmit:
		row("a blind", "program has no "+e.Name+" (expose = \"omit\")")
	default:
		row("a blind", "program has the REAL value in "+e.Name+" (expose = \"plain\")")
	}
	b.WriteByte('\n')
	for _, h := range e.History.Swapped {
		row("swapped", fmt.Sprintf("%d × in %s toward %s, last on %s", h.Count, h.Place, h.Host, a.daytime(h.Last)))
	}
	for _, h := range e.History.Scrubbed {
		row("scrubbed", fmt.Sprintf("%d × from the %s of %s, last on %s", h.Count, h.Place, h.Host, a.daytime(h.Last)))
	}
	for _, h := range e.History.Withheld {
		row("withheld", fmt.Sprintf("%d × in %s toward %s, last on %s", h.Count, h.Place, h.Host, a.daytime(h.Last)), "because "+h.Reason)
		if h.Fix != "" {
			row("", h.Fix)
		}
	}
	switch {
	case e.History.Sessions == 0:
		b.WriteString("There is no audit yet.\n")
	case e.History.empty():
		fmt.Fprintf(&b, "It is in no request that the audit has (%s).\n", plural(e.History.Sessions, "session"))
	default:
		fmt.Fprintf(&b, "\nThis is from the audit of %s; `kz audit` has each request.\n", plural(e.History.Sessions, "session"))
	}
	if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
		return err
	}
	if !e.Approved {
		a.ui.Warnf("a file of this configuration is not approved, or changed since: it is not used as it is")
		a.ui.Hintf("`kz trust` shows what it would allow, and approves it")
	}
	return nil
}

// shape is the mask with its hidden digits.
func (e explanation) shape() string {
	return strings.ReplaceAll(e.Mask, "{mask}", masking.Prefix+"…")
}

// fix is what to write if a mask should have been swapped where it was withheld; "" where nothing helps.
func fix(s config.Secret, host, place string) string {
	at, err := policy.ParseAuthority(host, 443)
	if err != nil {
		return ""
	}
	if !slices.ContainsFunc(s.Hosts, func(h policy.HostPattern) bool { return h.Match(at) }) {
		return fmt.Sprintf("if it may go there: hosts = [%s]", quotedList(append(hostNames(s.Hosts), host)))
	}
	wanted, err := policy.ParsePlace(place)
	if err != nil || slices.Contains(s.Places, wanted) {
		return ""
	}
	var places []string
	for _, p := range s.Places {
		places = append(places, p.String())
	}
	return fmt.Sprintf("if it may stand there: swap = [%s]", quotedList(append(places, place)))
}

func quotedList(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quoted, ", ")
}

// auditPaths are the files to look through: the named one, or the latest.
func (a *app) auditPaths(named string) ([]string, error) {
	if named != "" {
		return []string{named}, nil
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	paths, err := auditsIn(filepath.Join(dir, "audit"))
	return paths[max(0, len(paths)-maxExplained):], err
}

// maxExplained bounds how many files of the audit are read: a year of daily sessions.
const maxExplained = 366

var errNotAudit = errors.New("no line of it is one of an audit")
