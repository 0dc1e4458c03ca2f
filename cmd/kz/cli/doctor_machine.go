package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kz/ca"
	"kz/cmd/kz/config"
	"kz/proxy/audit"
)

// examineMachine looks at the places that kz itself uses, at its kept authority, and at what the system lets a child do.
func (a *app) examineMachine(cfg *config.Config) []finding {
	state, err := a.stateDir()
	if err != nil {
		return append(findingsOf("state-directory", weighsError, err, "kz keeps its audit there, and does not run without"), examineSystem()...)
	}
	found := examineAudit(filepath.Join(state, "audit"), state)
	if dir, err := a.newRunDir(); err != nil {
		found = append(found, findingsOf("run-directory", weighsError, withHint(err, "set TMPDIR to a directory of your own that can be written"),
			"the public CA files of a run lie there; without it none starts")...)
	} else {
		_ = dir.Close()
	}
	found = append(found, a.examineKept(filepath.Join(state, "ca"), cfg)...)
	return append(found, examineSystem()...)
}

// diskLow is room for a hundred thousand audit lines.
const diskLow = 32 << 20

// examineAudit makes an audit file as a run would, and removes it.
func examineAudit(dir, state string) []finding {
	f, err := audit.OpenFile(filepath.Join(dir, ".doctor"))
	if err == nil {
		err = errors.Join(f.Check(), f.Close(), os.Remove(f.Path()))
	}
	if err != nil {
		return findingsOf("audit-unwritable", weighsError, withHint(err, "make it yours: `chmod -R u+rwX,go= %s`, or write the audit elsewhere with --audit FILE", state),
			"what cannot be recorded is not sent: every request is refused with audit_unavailable")
	}
	if free, ok := freeSpace(dir); ok && free < diskLow {
		return []finding{diskFinding(dir, free)}
	}
	return nil
}

func diskFinding(dir string, free uint64) finding {
	return finding{ID: "disk-full", Weight: weighsWarning, Title: fmt.Sprintf("%d MiB are free where the audit lies, in %s", free>>20, dir),
		Why: "once it is full, every request is refused with audit_unavailable", Fix: "make room, remove old audits there, or write the audit elsewhere with --audit FILE"}
}

// examineKept looks at the authority of kz ca install, where there is one.
func (a *app) examineKept(dir string, cfg *config.Config) []finding {
	cert, err := ca.KeptCertificate(dir)
	switch {
	case errors.Is(err, ca.ErrNotKept):
		return nil
	case err != nil:
		return findingsOf("authority-unusable", weighsError, caCommands{app: a}.explainKept(err), "kz does not start a session beside an authority that it cannot read")
	case a.now().After(cert.NotAfter):
		return []finding{{ID: "authority-ended", Weight: weighsWarning, Title: "the authority of kz ca install ended on " + day(cert.NotAfter),
			Why: "programs that read only the system's store trust kz no longer", Fix: "`kz ca install` replaces it by a new one"}}
	}
	if missing := uncovered(cert, slices.Clone(boundHosts(cfg))); len(missing) > 0 {
		return []finding{{ID: "authority-uncovered", Weight: weighsWarning, Title: "the authority of kz ca install does not cover " + strings.Join(few(missing), ", "),
			Why: "programs that read only the system's store do not trust kz there", Fix: "`kz ca install` replaces it by one that covers them too"}}
	}
	if cert.NotAfter.Sub(a.now()) < keptMargin {
		return []finding{{ID: "authority-ending", Weight: weighsNote, Title: "the authority of kz ca install ends on " + day(cert.NotAfter), Why: "", Fix: "`kz ca install` replaces it by a new one"}}
	}
	return nil
}
