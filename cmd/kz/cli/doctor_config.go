package cli

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kz/cmd/kz/config"
	"kz/masking"
	"kz/resolver"
	"kz/resolver/envfile"
)

// setup is the configuration here, as far as it can be used.
type setup struct {
	cfg      *config.Config // empty where there is none that can be read
	session  *blind         // of all its secrets; nil where it may not or cannot be used
	wired    *doctorSession // the same, with a proxy that listens
	dir      *runDir        // for its public files
	findings []finding
	approved bool // a person has named or approved a file of the workspace
	usable   bool // a program can be run with it; set by examineStores
}

func (s *setup) close() {
	if s.session != nil {
		s.session.close()
	}
	if s.dir != nil {
		_ = s.dir.Close()
	}
}

// redact takes out of a line what a value of the configuration is found in.
func (s *setup) redact(line string) string {
	if s.session == nil {
		return line
	}
	return s.session.redact(line)
}

// examineConfiguration reads the configuration and looks at all that can be said without a store. Only an approved one is
// used further: its backends may start programs. record is where its audit goes; "" for the default place.
func (a *app) examineConfiguration(f doctorFlags, record string) *setup {
	s := &setup{cfg: &config.Config{}}
	add := func(found ...finding) *setup { s.findings = append(s.findings, found...); return s }
	cfg, err := a.read(f.Config, f.Env)
	if err != nil {
		found := findingsOf("config-invalid", weighsError, err, "no command can use the configuration as it is")
		for i := range found {
			if found[i].Fix == noFix {
				found[i].Fix = "correct it there, or name another file with --config; `kz help configuration` has all that it may hold"
			}
		}
		return add(found...)
	}
	s.cfg = cfg
	if len(cfg.Secrets) == 0 {
		return add(finding{ID: "no-configuration", Weight: weighsNote, Title: "no secrets are configured here",
			Why: "so nothing is said about stores and hosts", Fix: "`kz init` writes a configuration"})
	}
	if err := cfg.Blind(false); err != nil {
		add(findingsOf("hosts-missing", weighsError, err, "kz run --blind does not start without")...)
	}
	trust, err := a.openTrust()
	if err != nil {
		return add(findingsOf("trust-store", weighsError, err, "without it no configuration of a workspace counts as approved")...)
	}
	if untrusted := cfg.Untrusted(trust); len(untrusted) > 0 {
		var paths []string
		for _, u := range untrusted {
			paths = append(paths, u.Path)
		}
		return add(finding{ID: "not-approved", Weight: weighsError, Title: "not approved, or changed since: " + strings.Join(paths, ", "),
			Why: "kz uses no file of a workspace that nobody has approved; its stores were not asked", Fix: "`kz trust` shows what it would allow, and approves it"})
	}
	a.ui.TakeWarnings(func(text string) { add(storeWarning(text)) })
	s.approved = f.Config != "" || slices.ContainsFunc(cfg.Sources, func(from config.Source) bool { return from.Discovered })
	s.session, err = a.newBlind(cfg, cfg.Secrets, blindOptions{Audit: record, Vouched: newVouch()})
	a.ui.TakeWarnings(nil)
	if err != nil {
		return add(findingsOf("session", weighsError, err, "kz run --blind does not start with the configuration as it is")...)
	}
	s.wired = &doctorSession{blind: s.session}
	if s.dir, err = a.newRunDir(); err == nil {
		err = s.wired.open(s.dir.Write)
	}
	if err != nil {
		s.close()
		s.session, s.dir = nil, nil
		return add(findingsOf("run-directory", weighsError, withHint(err, "set TMPDIR to a directory of your own that can be written"),
			"the public CA files of a run lie there; without it none starts")...)
	}
	return s
}

// storeWarning is what a store says of what is unsafe in how it is reached. What is to be done stands behind the semicolon.
func storeWarning(text string) finding {
	said, fix, _ := strings.Cut(text, "; ")
	if strings.Contains(said, "is not https") {
		fix = "give the backend an https:// address"
	}
	return finding{ID: "store-unsafe", Weight: weighsWarning, Title: said, Why: "the values could be had, or changed, by others than you", Fix: cmp.Or(fix, "`kz help stores` says how it is reached safely")}
}

// examineStores fetches each value, and judges it as a run would. None is shown.
func (a *app) examineStores(ctx context.Context, s *setup) []finding {
	if s.session == nil {
		return nil
	}
	_ = s.session.resolve(ctx) // the report has every failure
	type why struct{ id, text, fix string }
	names := map[why][]string{}
	var order []why
	for _, status := range s.session.cache.Report() {
		if status.Err == nil {
			continue
		}
		w := why{id: valueFault(status.Err), text: status.Err.Error(), fix: hintOr(status.Err, "check what is stored")}
		var typed *resolver.Error
		if errors.As(status.Err, &typed) {
			nameless := *typed
			nameless.Secret = ""
			w = why{id: storeFault(typed), text: nameless.Error(), fix: cmp.Or(typed.Hint(), "see `kz backends check`")}
		}
		if _, seen := names[w]; !seen {
			order = append(order, w)
		}
		names[w] = append(names[w], status.Name)
	}
	var found []finding
	for _, w := range order {
		f := finding{ID: w.id, Weight: weighsError, Title: w.text, Why: "kz run --blind does not start without the value", Fix: w.fix}
		if !strings.HasPrefix(w.id, "value-") {
			f.Title = strings.Join(few(names[w]), ", ") + " cannot be had from its store: " + w.text
		}
		found = append(found, f)
	}
	s.usable = len(found) == 0 && !slices.ContainsFunc(s.findings, func(f finding) bool { return f.Weight == weighsError })
	return found
}

// storeFault tells a clock that is wrong from what else may be wrong with a store.
func storeFault(err *resolver.Error) string {
	if err.Code == "RequestTimeTooSkewed" || strings.Contains(err.Message, "clock") {
		return "clock-skew"
	}
	return "store-failing"
}

// valueFault is what is wrong with a value that the store has given.
func valueFault(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "is shorter than"):
		return "value-short"
	case strings.Contains(text, "looks like a mask"):
		return "value-mask"
	case strings.Contains(text, "is empty"):
		return "value-empty"
	}
	return "value-unfit"
}

// doctorRecord is where the audit of the configuration's session goes: nowhere when it makes no requests.
func doctorRecord(argv []string) string {
	if len(argv) > 0 {
		return ""
	}
	return os.DevNull
}

const (
	dotenvRoom  = 256 << 10 // a hundred files of the usual size
	dotenvLeast = 1 << 10   // what a file counts at least: to open one takes its time, too
)

// examineDotenv looks for credentials in the dotenv files of a directory, by their names and shapes; and for masks, which
// somebody may have saved in place of a value. A program waits to be started meanwhile, so that it looks no further than the
// first dotenvRoom bytes of all of them.
func examineDotenv(dir string, lookAt func(name string) bool) (credentials, masks []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil
	}
	room := dotenvRoom
	for _, e := range entries {
		if room <= 0 || !e.Type().IsRegular() || !lookAt(e.Name()) {
			continue
		}
		text := readSome(filepath.Join(dir, e.Name()))
		text = text[:min(len(text), room)]
		room -= max(len(text), dotenvLeast)
		for name, value := range dotenvLines(text) {
			where := oneLine(name + " in " + e.Name())
			switch {
			case strings.Contains(value, masking.Prefix):
				masks = append(masks, where)
			case value != "" && (credentialName(name) || credentialShape(value)):
				credentials = append(credentials, where)
			}
		}
	}
	slices.Sort(credentials)
	slices.Sort(masks)
	return credentials, masks
}

// dotenvLines are the variables of a dotenv file. One that cannot be read as such is read by its lines, of which some may be
// within a value: what stands before the = is then shown only if it is a name as credentials have.
func dotenvLines(text string) iter.Seq2[string, string] {
	if values, err := envfile.Parse([]byte(text)); err == nil {
		return maps.All(values)
	}
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(text) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
			name, value, ok := strings.Cut(line, "=")
			name = strings.TrimSpace(name)
			switch {
			case !ok || strings.HasPrefix(name, "#"):
				continue
			case !isSecretName(name):
				name, value = "a line", line
			}
			if !yield(name, strings.Trim(strings.TrimSpace(value), `"'`)) {
				return
			}
		}
	}
}
