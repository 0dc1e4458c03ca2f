package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"kz/proxy/audit"
)

// commandReport is what the command did. None of its texts holds a value.
type commandReport struct {
	Program       string       `json:"program"`
	Kind          string       `json:"kind"`          // what sort of program it is, as far as its file shows
	Configuration bool         `json:"configuration"` // it ran with the configuration here; else with the doctor's own secret
	ExitCode      int          `json:"exit_code"`
	Hosts         []hostReport `json:"hosts"`
	Direct        []string     `json:"direct"` // addresses that it, or what it started, was connected to past the proxy
	Swapped       []string     `json:"swapped"`
	NeverSwapped  []string     `json:"never_swapped"`
}

// hostReport is what came to the proxy for one host.
type hostReport struct {
	Host      string         `json:"host"` // with its port, unless that is 443
	Requests  int            `json:"requests"`
	Tunnels   int            `json:"tunnels"`   // not looked into
	Untrusted int            `json:"untrusted"` // its client ended the handshake with kz
	Refused   map[string]int `json:"refused"`   // by code
	Withheld  []string       `json:"withheld"`  // secrets whose mask was left as it was
}

// examineCommand runs the command as kz run --blind would, and reports what it did.
func (a *app) examineCommand(ctx context.Context, d *diagnosis, setup *setup, argv []string, asJSON bool) error {
	s, end, err := a.commandSession(ctx, setup)
	if err != nil {
		return err
	}
	defer end()
	a.ui.Redact(s.redact)
	s.here = setup.cfg
	env, report, err := childEnv(s.envSpec(ctx, a))
	if err != nil {
		return err
	}
	report.tell(a.ui)
	c := &commandReport{Configuration: setup.usable}
	kind := programKind{name: "unknown"}
	if c.Program, err = lookCommand(argv[0], env); err == nil {
		kind = kindOf(c.Program)
	}
	c.Kind = kind.name
	spec := a.childSpec(argv, env, true)
	if asJSON {
		spec.Stdout = os.Stderr
	}
	s.tunnels.forget() // those of examineHosts
	began := time.Now()
	watched := watchDirect()
	code, err := runChild(ctx, spec)
	c.Direct = append([]string{}, watched()...)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	c.ExitCode = code
	events, err := s.events()
	if err != nil {
		return err
	}
	for host, list := range events { // those before are of examineHosts
		events[host] = slices.DeleteFunc(list, func(e audit.Event) bool { return e.Time.Before(began) })
	}
	c.take(events, s.blind)
	for _, host := range s.tunnels.hosts() {
		if len(events[host]) == 0 { // a client that left when it had seen the certificate
			c.Hosts = append(c.Hosts, hostReport{Host: host, Untrusted: 1, Refused: map[string]int{}, Withheld: []string{}})
		}
	}
	d.Command = c
	d.find(c.findings(kind, argv[0])...)
	return nil
}

// commandSession is the session of the configuration where that can be used, else one of the doctor's own.
func (a *app) commandSession(ctx context.Context, setup *setup) (*doctorSession, func(), error) {
	if !setup.usable {
		s, err := a.newDoctorSession(ctx, true)
		if err != nil {
			return nil, nil, err
		}
		return s, s.end, nil
	}
	return setup.wired, func() {}, nil
}

// take counts what the audit has.
func (c *commandReport) take(events map[string][]audit.Event, s *blind) {
	hosts := map[string]*hostReport{}
	swapped := map[string]bool{}
	for _, list := range events {
		for _, e := range list {
			h := hosts[hostOf(e)]
			if h == nil {
				h = &hostReport{Host: hostOf(e), Refused: map[string]int{}, Withheld: []string{}}
				hosts[hostOf(e)] = h
			}
			switch {
			case e.Kind == audit.Request:
				h.Requests++
			case e.Kind == audit.Tunnel:
				h.Tunnels++
			case e.Code != "":
				h.Refused[e.Code]++
			default:
				h.Untrusted++
			}
			for _, x := range e.Swapped {
				swapped[x.Secret] = true
			}
			for _, x := range e.Withheld {
				if x.Secret != "" && !slices.Contains(h.Withheld, x.Secret) {
					h.Withheld = append(h.Withheld, x.Secret)
				}
			}
		}
	}
	c.Hosts, c.Swapped, c.NeverSwapped = []hostReport{}, slices.Sorted(maps.Keys(swapped)), []string{}
	if c.Swapped == nil {
		c.Swapped = []string{}
	}
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		c.Hosts = append(c.Hosts, *hosts[name])
	}
	for _, sec := range s.secrets {
		if sec.Masked() && !swapped[sec.Name] {
			c.NeverSwapped = append(c.NeverSwapped, sec.Name)
		}
	}
}

// findings says what was wrong with the command.
func (c *commandReport) findings(kind programKind, name string) []finding {
	var found []finding
	add := func(id string, w weight, title, why, fix string) {
		found = append(found, finding{ID: "command-" + id, Weight: w, Title: title, Why: why, Fix: fix})
	}
	var untrusted, refused, withheld []string
	fixes := map[string]bool{}
	for _, h := range c.Hosts {
		if h.Untrusted > 0 {
			untrusted = append(untrusted, h.Host)
		}
		for _, code := range slices.Sorted(maps.Keys(h.Refused)) {
			refused = append(refused, fmt.Sprintf("%s: %s (%d)", h.Host, code, h.Refused[code]))
			fixes[cmp.Or(refusalFixes[code], "`kz help errors` has each code")] = true
		}
		for _, secret := range h.Withheld {
			if len(h.Refused) == 0 {
				withheld = append(withheld, secret+" toward "+h.Host)
			}
		}
	}
	if len(c.Direct) > 0 {
		add("direct", weighsError, name+" was connected past the proxy to "+strings.Join(few(c.Direct), ", "),
			"what it sends there has masks in it, and kz neither sees nor refuses it", kind.direct)
	} else if len(c.Hosts) == 0 && c.ExitCode != 0 {
		add("silent", weighsWarning, fmt.Sprintf("%s ended with %d, and nothing of it came to the proxy", name, c.ExitCode),
			"either it has no need of the network, or it looked for its hosts without the proxy", kind.direct)
	}
	if len(untrusted) > 0 {
		add("untrusted", weighsError, name+" does not trust the CA of kz toward "+strings.Join(few(untrusted), ", "),
			"it came to the proxy and ended the TLS handshake", kind.distrust)
	}
	if len(refused) > 0 {
		add("refused", weighsWarning, "refused: "+strings.Join(few(refused), ", "), "", strings.Join(slices.Sorted(maps.Keys(fixes)), "\n"))
	}
	if len(withheld) > 0 {
		add("withheld", weighsWarning, "a mask was left as it was: "+strings.Join(few(withheld), ", "), "it stood where the secret's swap does not name the place",
			"`kz audit` says where; add that place to `swap` of the secret (`kz help places`)")
	}
	if c.Configuration && len(c.NeverSwapped) > 0 && len(c.Hosts) > 0 {
		add("unswapped", weighsNote, "never swapped: "+strings.Join(few(c.NeverSwapped), ", "), "no request with its mask came to one of its hosts",
			"nothing, if this run had no need of it; else look whether the program reads that variable")
	}
	return found
}

// refusalFixes are for the codes that a configuration can mend.
var refusalFixes = map[string]string{
	"host_not_bound":       "if a secret may go there, add the host to its `hosts`",
	"place_not_declared":   "add the place to `swap` of the secret (`kz help places`)",
	"egress_denied":        "if it may be reached, add the host to `allow` under [egress]",
	"private_address":      "if it may be dialled, add its network to `allow_private` under [egress]",
	"upstream_unverified":  "if the host has a certificate of your own, name its authority in `upstream_ca` under [egress]",
	"upstream_unreachable": "look whether the host is up; if it is reached by another proxy alone, name that in `upstream_proxy` under [egress]",
	"mask_unknown":         "the program sent a mask of another session: look where it keeps one",
	"cleartext":            "let the program use https:// there",
	"proxy_credential":     "let the program take the proxy from HTTPS_PROXY with its user and password",
}

// print is the command's part of the report.
func (c *commandReport) print(b *strings.Builder) {
	with := "the configuration here"
	if !c.Configuration {
		with = "a secret of the doctor's own"
	}
	fmt.Fprintf(b, "\ncommand: %s, %s, with %s; it ended with %d\n", oneLine(c.Program), oneLine(c.Kind), with, c.ExitCode)
	for _, h := range c.Hosts {
		said := []string{}
		for _, n := range []struct {
			n    int
			what string
		}{{h.Requests, "request"}, {h.Tunnels, "tunnel"}} {
			if n.n > 0 {
				said = append(said, plural(n.n, n.what))
			}
		}
		if h.Untrusted > 0 {
			said = append(said, plural(h.Untrusted, "handshake")+" ended by the client")
		}
		if len(h.Refused) > 0 {
			said = append(said, "refused "+counted(h.Refused))
		}
		fmt.Fprintf(b, "  %s  %s\n", oneLine(h.Host), strings.Join(said, ", "))
	}
	if len(c.Swapped) > 0 {
		fmt.Fprintf(b, "  swapped  %s\n", strings.Join(c.Swapped, ", "))
	}
	if len(c.Direct) > 0 {
		fmt.Fprintf(b, "  past the proxy  %s\n", strings.Join(few(c.Direct), ", "))
	}
}
