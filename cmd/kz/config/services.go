package config

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"kz/proxy/policy"
)

//go:embed services.toml
var servicesTOML string

// service is what is known of one vendor: where a secret in one of its variables may go, when the files do not say.
type service struct {
	name      string
	variables []string
	hosts     []policy.HostPattern
	own       string         // what the host looks like when each user has another; hosts is then empty
	places    []policy.Place // nil: the default ones
	mask      string         // template with one {mask}; "" for the bare mask
	keys      []string       // what the vendor's keys begin with, and nobody else's
	source    []string       // URLs of the vendor's that say so
}

// readServices reads entries of the list by their variables. What would be wrong in a configuration is so here, too.
func readServices(text string) (map[string]*service, error) {
	r := newReader("")
	root, problem := parseTOML("services.toml", []byte(text))
	if problem != nil {
		return nil, Problems{*problem}
	}
	byVariable := make(map[string]*service)
	list := r.kind(root, "service", listKind)
	if list == nil {
		return nil, r.err(nil)
	}
	for _, t := range list.items {
		r.known(t, "a service", []string{"name", "variables", "hosts", "own", "swap", "mask", "keys", "source"}, nil)
		s := &service{name: r.string(t, "name"), own: r.string(t, "own"), hosts: r.hosts(t, "hosts", policy.ParseHostPattern), mask: r.mask(t)}
		if t.has("swap") {
			s.places = r.places(t)
		}
		for _, v := range r.texts(t, "keys") {
			s.keys = append(s.keys, v.text)
		}
		for _, v := range r.texts(t, "source") {
			s.source = append(s.source, v.text)
		}
		for _, v := range r.texts(t, "variables") {
			if byVariable[v.text] != nil {
				r.add(v.pos, "the variable %s is already known", shown(v.text))
			}
			s.variables = append(s.variables, v.text)
			byVariable[v.text] = s
		}
	}
	if err := r.err([]string{"services.toml"}); err != nil {
		return nil, err
	}
	return byVariable, nil
}

// serviceOf is the service that a variable belongs to, by its whole name; nil when none is known. It reads one entry of
// the list, between empty lines: all of them would take 1.4 ms of every run, one takes 0.07 ms.
func serviceOf(variable string) *service {
	for entry := range strings.SplitSeq(servicesTOML, "\n\n") {
		if !strings.Contains(entry, `"`+variable+`"`) {
			continue
		}
		if byVariable, err := readServices(entry); err == nil && byVariable[variable] != nil {
			return byVariable[variable]
		}
	}
	return nil
}

// nearService is a variable of a service that looks like the given one, which is none; "" when there is none or when its
// hosts are not known either. It is for a hint only.
func nearService(variable string) string {
	byVariable, _ := readServices(servicesTOML)
	var names []string
	for name, s := range byVariable {
		// "API_KEY" is near to many; whoever mistypes a name seldom begins with another letter.
		if variable != "" && name[0] == variable[0] && len(s.hosts) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return Nearest(variable, names)
}

// supply gives masked secrets what their entries leave out and the service of their variable is known to need. What a
// file says wins, key by key: `hosts = []` means no host. said holds the merged entry of each variable.
func supply(secrets []Secret, said map[string]*node) {
	for i := range secrets {
		s := &secrets[i]
		if !s.Masked() || s.Signs {
			continue
		}
		known := serviceOf(s.Name)
		if known == nil {
			continue
		}
		t := said[s.Name]
		if !t.has("hosts") && len(known.hosts) > 0 {
			s.Hosts, s.Service = known.hosts, known.name
		}
		if !t.has("swap") && known.places != nil {
			s.Places = known.places
		}
		if !t.has("mask") {
			s.Mask = known.mask
		}
	}
}

// supplement is what a known service adds to one variable of an entry.
type supplement struct {
	variable            string
	known               *service
	hosts, places, mask bool // is it the service that gives them?
}

// supplements are what known services add to an entry that is laid over below, if that is not nil.
func supplements(e, below *entry) (out []supplement) {
	gives := func(key string) bool { return e.table.has(key) || below != nil && below.table.has(key) }
	if x := e.table.get("expose"); gives("export_as") || x != nil && x.text != ExposeMasked {
		return nil
	}
	variables := []string{e.variable}
	if gives("fields") || gives("plain_fields") {
		variables = nil
		for _, v := range e.table.get("fields").texts() {
			variables = append(variables, e.variable+"_"+snake(v))
		}
	}
	for _, v := range variables {
		if known := serviceOf(v); known != nil {
			out = append(out, supplement{v, known, !gives("hosts") && len(known.hosts) > 0, !gives("swap"), !gives("mask") && known.mask != ""})
		}
	}
	return out
}

// supplied says what known services add to an entry that is laid over below, if that is not nil, and returns the
// variables that get their hosts so.
func (p *phrases) supplied(e, below *entry) (named []string) {
	for _, s := range supplements(e, below) {
		whose := ""
		if s.variable != e.variable {
			whose = s.variable + " "
		}
		if s.hosts {
			p.add(whose, "to ", hostList(s.known.hosts), " (known service ", s.known.name, ")")
			named = append(named, s.variable)
		}
		switch {
		case !s.places:
		case s.known.places != nil:
			p.add(whose, "in ", placeList(s.known.places))
		case s.hosts:
			p.add(whose, "in ", placeList(policy.DefaultPlaces()))
		}
		if s.mask {
			p.add(whose, "mask ", s.known.mask)
		}
	}
	return named
}

// supplied is a hash of where known services let the secrets of a file go, in all its sections; "" where they let them go
// nowhere. It belongs to what a person approves: a later kz, which knows other services, has another.
func (f loaded) supplied() string {
	var b strings.Builder
	add := func(env string, l, below layer) {
		for _, e := range l.secrets.list {
			for _, s := range supplements(e, below.secrets.index[e.variable]) {
				if s.hosts {
					b.WriteString(strconv.Quote(env) + " " + s.variable + " to " + hostList(s.known.hosts) + "\n")
				}
				if s.places && s.known.places != nil {
					b.WriteString(strconv.Quote(env) + " " + s.variable + " in " + placeList(s.known.places) + "\n")
				}
			}
		}
	}
	add("", f.always, layer{})
	for _, s := range f.sections {
		add(s.name, s.layer, f.always)
	}
	if b.Len() == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// texts are the texts of a list; nil when n is none.
func (n *node) texts() (out []string) {
	if n != nil {
		for _, v := range n.items {
			out = append(out, v.text)
		}
	}
	return out
}
