package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options says which files make up a configuration.
type Options struct {
	// Dir is where the walk up to a configuration file begins, and what a relative File is relative to. "" is the
	// working directory.
	Dir string
	// File is the file of --config, in place of the discovered ones. The user's own file stays below it.
	File string
	// Env is the environment section of --env; "" leaves the choice to KEYZERO_ENV, NODE_ENV and RAILS_ENV.
	Env string
	// Getenv looks up variables; nil is os.Getenv.
	Getenv func(string) string
	// Draft, if not nil, is read in place of the file at its path, which need not be there yet.
	Draft *Draft
}

// loaded is one file in layers.
type loaded struct {
	shown    string
	always   layer
	sections []section
}

// Load reads, merges and validates the files. Without any file it gives an empty Config. The error is Problems, with
// everything that is wrong in all files, including sections that are not chosen. Load is safe for concurrent use.
func Load(o Options) (*Config, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	dir, err := directory(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("looking for a configuration: %w", err)
	}
	files, err := find(o, dir)
	if err == nil {
		files, err = drafted(files, o.Draft, dir)
	}
	if err != nil {
		return nil, err
	}
	inputs := make([]input, len(files))
	for i, f := range files {
		inputs[i].found = f
		if o.Draft != nil && f.path == o.Draft.Path {
			inputs[i].data, inputs[i].source, inputs[i].problem = f.draft(o.Draft)
		} else {
			inputs[i].data, inputs[i].source, inputs[i].problem = f.read()
		}
	}
	return build(o, inputs)
}

// input is one file with its bytes, or with what kept them from being read.
type input struct {
	found
	data    []byte
	source  Source
	problem *Problem
}

// build is Load without the reading.
func build(o Options, inputs []input) (*Config, error) {
	r := newReader(homeDir(o.Getenv))
	cfg := &Config{}
	var shownNames []string
	for _, in := range inputs {
		shownNames = append(shownNames, in.shown)
		problem := in.problem
		if problem == nil {
			r.dirs[in.shown] = filepath.Dir(in.source.RealPath)
			var root *node
			if root, problem = in.parse(in.data); problem == nil {
				problem = masked(root)
			}
			if problem == nil {
				always, sections := r.layers(root)
				cfg.Sources = append(cfg.Sources, in.source)
				cfg.files = append(cfg.files, loaded{in.shown, always, sections})
			}
		}
		if problem != nil {
			r.put(*problem)
		}
	}
	if len(cfg.files) < len(inputs) {
		// What the unreadable file would have said is unknown: more problems would be guesses.
		return nil, r.err(shownNames)
	}
	for _, f := range cfg.files {
		r.check(f.always)
		for _, s := range f.sections {
			r.check(s.layer)
		}
	}
	for i, f := range cfg.files {
		if cfg.Sources[i].Discovered {
			cfg.Sources[i].Supplied = f.supplied()
		}
	}
	cfg.Environments = environments(cfg.files)
	cfg.EnvName = r.environment(o, cfg.Environments)
	r.assemble(cfg)
	if err := r.err(shownNames); err != nil {
		return nil, err
	}
	return cfg, nil
}

// directory is dir as the file system knows it, so that the walk up follows real parents.
func directory(dir string) (string, error) {
	if dir == "" {
		dir = "."
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// check reads what one layer says for itself, so that a mistake shows wherever it stands.
func (r *reader) check(l layer) {
	if l.backends != nil {
		for _, f := range l.backends.fields {
			r.backend(f, false)
		}
	}
	for _, e := range l.secrets.list {
		r.binding(e)
	}
	r.egress(l.egress)
}

func environments(files []loaded) []string {
	var names []string
	for _, f := range files {
		for _, s := range f.sections {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// environment chooses the section to lay over the rest; "" when there is none to choose.
func (r *reader) environment(o Options, sections []string) string {
	for _, choice := range []struct{ by, name string }{{"--env", o.Env}, {"KEYZERO_ENV", o.Getenv("KEYZERO_ENV")}} {
		if choice.name == "" {
			continue
		}
		if slices.Contains(sections, choice.name) {
			return choice.name
		}
		hint := "the configuration has no environment section: leave it out, or write one, as in [production.secrets.API_KEY]"
		if len(sections) > 0 {
			hint = "the sections are " + printable(strings.Join(sections, ", "))
		}
		r.hint(Pos{}, hint, "%s names %q, which is no environment section", choice.by, choice.name)
		return ""
	}
	for _, name := range []string{o.Getenv("NODE_ENV"), o.Getenv("RAILS_ENV")} {
		if slices.Contains(sections, name) {
			return name
		}
	}
	return ""
}

// assemble merges the layers and makes the values of cfg.
func (r *reader) assemble(cfg *Config) {
	var layers []layer
	for _, f := range cfg.files {
		layers = append(layers, f.always)
	}
	for _, f := range cfg.files {
		for _, s := range f.sections {
			if s.name == cfg.EnvName {
				layers = append(layers, s.layer)
			}
		}
	}
	m := merge(layers)
	l := &locator{reader: r, backends: make(map[string]Backend)}
	if m.backends != nil {
		for _, f := range m.backends.fields {
			if isBackendName(f.key) {
				l.configured = append(l.configured, f.key)
			}
			if b, ok := r.backend(f, true); ok {
				l.backends[b.Name] = b
			}
		}
		slices.Sort(l.configured)
	}
	said := make(map[string]*node)
	at := make(map[string]Pos)
	for _, e := range m.secrets.list {
		s := r.binding(e)
		if !l.locate(e, &s) {
			// Still a name that a backend may refer to.
			said[s.Name] = e.table
			cfg.Secrets = append(cfg.Secrets, s)
			continue
		}
		for _, s := range l.expand(e.table, s) {
			if other, taken := at[s.Name]; taken {
				r.add(s.Pos, "the same variable is already defined at %s", other)
				continue
			}
			at[s.Name], said[s.Name] = s.Pos, e.table
			cfg.Secrets = append(cfg.Secrets, s)
		}
	}
	r.chain(l.backends, cfg.Secrets, said)
	supply(cfg.Secrets, said)
	cfg.Backends, cfg.Egress = maps.Clone(l.backends), r.egress(m.egress)
}
