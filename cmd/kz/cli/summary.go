package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"kz/cmd/kz/config"
	"kz/proxy/audit"
)

// maxTold bounds each list of a tally: a program may name hosts without end. What finds no place is under others.
const (
	maxTold = 256
	others  = "others"
)

// place is key, or others when m is full.
func place[V any](m map[string]V, key string) string {
	if _, ok := m[key]; !ok && len(m) >= maxTold {
		return others
	}
	return key
}

// tally is an audit sink that counts for the summary what it passes on.
type tally struct {
	next audit.Sink

	mu       sync.Mutex
	sum      totals
	swapped  map[string]map[string]int // secret, host
	withheld map[string]int            // "secret in place toward host"
	refused  map[string]int            // "code toward host"
	tunnels  map[string]bool
	distrust map[string]bool // hosts whose clients ended the handshake
}

// Write implements audit.Sink.
func (t *tally) Write(e audit.Event) error {
	t.count(e)
	return t.next.Write(e)
}

// Err implements audit.Sink.
func (t *tally) Err() error { return t.next.Err() }

func (t *tally) count(e audit.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.swapped == nil {
		t.swapped, t.withheld, t.refused = map[string]map[string]int{}, map[string]int{}, map[string]int{}
		t.tunnels, t.distrust = map[string]bool{}, map[string]bool{}
	}
	t.sum.add(e)
	switch {
	case e.Kind == audit.Tunnel:
		t.tunnels[place(t.tunnels, e.Host)] = true
	case e.Kind == audit.Refusal && e.Code != "":
		t.refused[place(t.refused, e.Code+" toward "+e.Host)]++
	case e.Kind == audit.Refusal:
		t.distrust[place(t.distrust, e.Host)] = true
	}
	for i, s := range e.Swapped {
		if t.swapped[s.Secret] == nil {
			t.swapped[s.Secret] = map[string]int{}
		}
		// Once for a request, also where the secret stood at several places.
		if !slices.ContainsFunc(e.Swapped[:i], func(before audit.Swapped) bool { return before.Secret == s.Secret }) {
			hosts := t.swapped[s.Secret]
			hosts[place(hosts, e.Host)]++
		}
	}
	for _, w := range e.Withheld {
		if w.Secret != "" {
			t.withheld[place(t.withheld, w.Secret+" in "+w.Place+" toward "+e.Host)]++
		}
	}
}

// totals are the numbers of a session, or of some of its lines.
type totals struct{ requests, swapped, withheld, scrubbed, refused, tunnels int }

func (n *totals) add(e audit.Event) {
	switch {
	case e.Kind == audit.Tunnel:
		n.tunnels++
	case e.Kind == audit.Request:
		n.requests++
	case e.Code != "": // without a code it is a client that ended a handshake
		n.requests++
		n.refused++
	}
	n.swapped += len(e.Swapped)
	n.withheld += len(e.Withheld)
	for _, s := range e.Scrubbed {
		n.scrubbed += s.Count
	}
}

// String is, for instance, "14 requests: 9 swapped, 1 refused; 2 tunnels".
func (n totals) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{n.swapped, "swapped"}, {n.withheld, "withheld"}, {n.scrubbed, "scrubbed"}, {n.refused, "refused"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	text := plural(n.requests, "request")
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if n.tunnels > 0 {
		text += "; " + plural(n.tunnels, "tunnel")
	}
	return text
}

// tellTotals says how much there was.
func (t *tally) tellTotals(u *ui) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u.Notef("%s", t.sum)
}

// tell says at the end of a run what happened to its secrets, and where it is recorded.
func (t *tally) tell(u *ui, secrets []config.Secret, record *audit.File) {
	t.tellTotals(u)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sum == (totals{}) && len(t.distrust) == 0 && len(secrets) > 0 {
		u.Hintf("where a request was expected, `kz doctor -- COMMAND` looks for the reason")
	}
	var never []string
	for _, s := range secrets {
		if !s.Masked() {
			continue
		}
		hosts := t.swapped[s.Name]
		if len(hosts) == 0 {
			never = append(never, s.Name)
			continue
		}
		n := 0
		for _, count := range hosts {
			n += count
		}
		u.Notef("%s: swapped in %s to %s", s.Name, plural(n, "request"), strings.Join(slices.Sorted(maps.Keys(hosts)), ", "))
	}
	if len(never) > 0 {
		u.Notef("never swapped: %s", strings.Join(never, ", "))
	}
	if len(t.refused) > 0 {
		u.Notef("refused: %s", counted(t.refused))
	}
	if len(t.withheld) > 0 {
		u.Notef("masks left as they were: %s", counted(t.withheld))
	}
	if len(t.tunnels) > 0 {
		u.Notef("tunnelled, unseen: %s", strings.Join(few(slices.Sorted(maps.Keys(t.tunnels))), ", "))
	}
	for _, host := range few(slices.Sorted(maps.Keys(t.distrust))) {
		u.Warnf("a client ended its TLS connection to %s; it may read its roots elsewhere than SSL_CERT_FILE or NODE_EXTRA_CA_CERTS", host)
	}
	if len(t.distrust) > 0 {
		u.Hintf("`kz help runtimes` lists what each client reads; one with roots of its own cannot be run blind")
	}
	tellAudit(u, record)
}

// tellAudit says where it is recorded: the number of lines and the last hash are what `kz audit --verify` can be held against.
func tellAudit(u *ui, record *audit.File) {
	if lines, chain := record.End(); lines > 0 {
		u.Notef("audit: %s (%s, ends in %s)", record.Path(), plural(int(lines), "line"), shortHash(chain)) //nolint:gosec // a number of lines
	} else {
		u.Notef("audit: %s", record.Path())
	}
	if err := record.Check(); err != nil {
		u.Warnf("the audit is not whole: %v", err)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func counted(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s (%d)", k, m[k]))
	}
	return strings.Join(few(out), ", ")
}

// few keeps a line readable; the audit has the rest.
func few(s []string) []string {
	const most = 8
	if len(s) <= most {
		return s
	}
	return append(s[:most:most], fmt.Sprintf("and %d more", len(s)-most))
}
