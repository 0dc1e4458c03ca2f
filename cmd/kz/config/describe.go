package config

import (
	"net/netip"
	"strconv"
	"strings"

	"kz/proxy/policy"
)

// Summary is what one file would allow, for the person who approves it. It covers the whole file, the sections that are
// not chosen too, as an approval does. Its texts are safe to print: what is not plain ASCII is escaped.
type Summary struct {
	Source Source
	Scopes []Scope
}

// Scope is what always holds (Env is "") or what an environment section lays over it.
type Scope struct {
	Env      string
	Backends []Item
	Secrets  []Item
	Egress   []Item
	// Warnings says what deserves a second look.
	Warnings []string
}

// Item is one backend, secret or egress rule, and what the file says about it.
type Item struct{ Name, Says string }

// Describe summarises the files one by one, in the order of Sources. Each summary holds what that file says, not what
// the others add to it: any of them may be changed or removed later without a new approval of this one.
func (c *Config) Describe() []Summary {
	var out []Summary
	for i, f := range c.files {
		s := Summary{Source: c.Sources[i], Scopes: []Scope{describe("", f.always, layer{})}}
		for _, section := range f.sections {
			s.Scopes = append(s.Scopes, describe(section.name, section.layer, f.always))
		}
		out = append(out, s)
	}
	return out
}

// describe summarises l, which is laid over below of the same file.
func describe(env string, l, below layer) Scope {
	s := Scope{Env: printable(env)}
	if l.backends != nil {
		for _, f := range l.backends.fields {
			s.backend(f)
		}
	}
	var named []string
	for _, e := range l.secrets.list {
		named = append(named, s.secret(e, below.secrets.index[e.variable])...)
	}
	if len(named) > 0 {
		s.warn("the hosts of ", strings.Join(named, ", "), " are known to kz by the name alone: whatever is stored goes there; when kz comes to know others, it asks again")
	}
	if l.egress != nil {
		for _, f := range l.egress.fields {
			s.egress(f)
		}
	}
	return s
}

func (s *Scope) warn(parts ...string) { s.Warnings = append(s.Warnings, strings.Join(parts, "")) }

var backendWarnings = map[string]string{
	"ca_cert":  "is believed by the certificates of this file, whose content is not part of the approval: ",
	"jwt_path": "sends the content of this file to its server: ",
}

func (s *Scope) backend(f *field) {
	says := phrases{}
	if t := f.value.get("type"); t != nil {
		says.add(written(t))
	}
	for _, k := range f.value.fields {
		if k.key == "type" {
			continue
		}
		says.add(printable(k.key), " ", written(k.value))
		if strings.HasPrefix(strings.ToLower(k.value.text), "http://") {
			s.warn("the backend ", printable(f.key), " is reached without encryption: ", written(k.value))
		}
		if w := backendWarnings[k.key]; w != "" {
			s.warn("the backend ", printable(f.key), " ", w, written(k.value))
		}
	}
	if c, args := f.value.get("command"), f.value.get("args"); c != nil || args != nil {
		var line []string
		for _, v := range []*node{c, args} {
			if v != nil {
				line = append(line, written(v))
			}
		}
		s.warn("the backend ", printable(f.key), " runs a program as you, outside of the session, and what it does is not part of the approval: ", strings.Join(line, ", "))
	}
	s.Backends = append(s.Backends, Item{printable(f.key), says.String()})
}

// told are the keys of a secret that its summary puts into words; the others follow as they are.
var told = map[string]bool{"backend": true, "provider": true, "ref": true, "secret_id": true, "path": true, "name": true,
	"field": true, "jsonKey": true, "hosts": true, "swap": true, "expose": true}

// secret adds one entry, which is laid over below, if that is not nil. It returns the variables whose hosts are those of
// a known service.
func (s *Scope) secret(e, below *entry) (named []string) {
	r := newReader("") // whatever is wrong was reported by Load
	t, name := e.table, printable(e.variable)
	b := r.binding(e)
	says := phrases{}
	from := ""
	for _, key := range []string{"backend", "provider"} {
		if v := t.get(key); v != nil {
			from += " " + written(v)
		}
	}
	for _, key := range []string{"secret_id", "path", "name", "ref"} {
		if v := t.get(key); v != nil {
			from += " " + written(v)
			break
		}
	}
	for _, key := range []string{"field", "jsonKey"} {
		if v := t.get(key); v != nil {
			from += " (" + written(v) + ")"
			break
		}
	}
	if from != "" {
		says.add("from", from)
	}
	if t.has("hosts") {
		says.add("to ", hostList(b.Hosts))
		for _, h := range b.Hosts {
			if h.Below() {
				s.warn(name, " may go to every host below ", h.Host())
			}
			if _, err := netip.ParseAddr(h.Host()); err == nil {
				s.warn(name, " may go to a bare address: ", h.String())
			}
		}
	}
	if known := serviceOf(e.variable); t.has("swap") || t.has("hosts") && (known == nil || known.places == nil) {
		says.add("in ", placeList(b.Places))
	}
	named = says.supplied(e, below)
	if t.has("expose") {
		says.add("expose ", b.Expose)
		if b.Expose == ExposePlain {
			s.warn(name, " reaches the program itself, in plain")
		}
	}
	if t.has("scrub") && !b.Scrub {
		s.warn(name, " is not masked again in what comes back")
	}
	for _, f := range t.fields {
		if !told[f.key] {
			says.add(printable(f.key), " ", written(f.value))
		}
	}
	s.Secrets = append(s.Secrets, Item{name, says.String()})
	return named
}

var egressWarnings = map[string]string{
	"allow_private":  "private networks may be reached: ",
	"resolve":        "names are dialled elsewhere: ",
	"upstream_ca":    "the certificates of this file can vouch for any host, and its content is not part of the approval: ",
	"upstream_proxy": "everything goes through the proxy ",
}

func (s *Scope) egress(f *field) {
	says := written(f.value)
	s.Egress = append(s.Egress, Item{printable(f.key), says})
	if w := egressWarnings[f.key]; w != "" && says != "" {
		s.warn(w, says)
	}
}

func hostList(hosts []policy.HostPattern) string {
	if len(hosts) == 0 {
		return "no host"
	}
	var out []string
	for _, h := range hosts {
		out = append(out, h.String()) // canonical: a look-alike name shows as xn--…
	}
	return strings.Join(out, ", ")
}

func placeList(places []policy.Place) string {
	var out []string
	for _, p := range places {
		out = append(out, printable(p.String()))
	}
	return strings.Join(out, ", ")
}

type phrases []string

func (p *phrases) add(parts ...string) { *p = append(*p, strings.Join(parts, "")) }
func (p phrases) String() string       { return strings.Join(p, ", ") }

// written is a value as the file has it, on one line.
func written(n *node) string {
	switch n.kind {
	case textKind:
		return printable(n.text)
	case intKind:
		return strconv.FormatInt(n.number, 10)
	case boolKind:
		return strconv.FormatBool(n.yes)
	case listKind:
		var out []string
		for _, v := range n.items {
			out = append(out, written(v))
		}
		return strings.Join(out, ", ")
	case tableKind:
		var out []string
		for _, f := range n.fields {
			out = append(out, printable(f.key)+" = "+written(f.value))
		}
		return strings.Join(out, ", ")
	}
	return ""
}

// printable is s when a terminal shows it as it is, else s quoted and escaped. Runs of spaces are quoted, too: they can
// wrap a text so that its end looks like a line of its own.
func printable(s string) string {
	if strings.Contains(s, "  ") || strings.TrimSpace(s) != s {
		return strconv.QuoteToASCII(s)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' && s[i] != ' ' || s[i] >= 0x7f {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// String is the summary as kz trust shows it.
func (s Summary) String() string {
	var b strings.Builder
	b.WriteString(printable(s.Source.RealPath) + "\n  sha256 " + s.Source.SHA256 + "\n")
	for _, scope := range s.Scopes {
		if scope.Env != "" {
			b.WriteString("  in the environment " + scope.Env + "\n")
		}
		for _, part := range []struct {
			title string
			items []Item
		}{{"backends", scope.Backends}, {"secrets", scope.Secrets}, {"egress", scope.Egress}} {
			if len(part.items) == 0 {
				continue
			}
			b.WriteString("  " + part.title + "\n")
			for _, it := range part.items {
				b.WriteString("    " + it.Name + ": " + it.Says + "\n")
			}
		}
		for _, w := range scope.Warnings {
			b.WriteString("  note: " + w + "\n")
		}
	}
	return b.String()
}
