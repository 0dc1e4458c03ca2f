package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/proxy/audit"
)

type auditFlags struct {
	Session              string
	JSON, Follow, Verify bool
}

func newAuditCmd(a *app) *cobra.Command {
	var f auditFlags
	c := &cobra.Command{
		Use:   "audit [FILE…]",
		Short: "Read what was swapped, withheld and refused",
		Long: `Read the audit: one line for each request and each tunnel, by the names of secrets. Without
a file, the latest session's. On a terminal rows are cut to its width; elsewhere, and with
--json, nothing is cut.

With --verify, follow the chain of hashes in each file from its first line to its last, and
say where it does not fit: a line that was changed, added, moved or removed. The exit code is 1 then.
The chain has no key. Whoever can write the file, which is any program of the same user that
is not in a sandbox, can make it anew from any line on, or cut off its end; compare the number
of lines and the last hash with what kz said when the session ended, or keep the file where
only you can write.`,
		Example: "  kz audit\n  kz audit --follow\n  kz audit --verify\n  kz audit --session 4f0c1a2b --json",
		RunE:    func(c *cobra.Command, args []string) error { return a.audit(c.Context(), f, args) },
	}
	c.Flags().StringVar(&f.Session, "session", "", "`ID` of the session, or how it begins; `all` for every one")
	c.Flags().BoolVar(&f.JSON, "json", false, "the lines as they are, in JSON")
	c.Flags().BoolVarP(&f.Follow, "follow", "f", false, "go on with what comes, until interrupted")
	c.Flags().BoolVar(&f.Verify, "verify", false, "check the chain of hashes")
	c.MarkFlagsMutuallyExclusive("verify", "follow")
	c.MarkFlagsMutuallyExclusive("verify", "json")
	return c
}

// audit is `kz audit`. It shows names and never a value, so that it may be run anywhere.
func (a *app) audit(ctx context.Context, f auditFlags, paths []string) error {
	files := auditFiles{session: f.Session, paths: paths}
	if len(paths) == 0 {
		dir, err := a.stateDir()
		if err != nil {
			return err
		}
		files.dir = filepath.Join(dir, "audit")
	}
	p := &auditPrinter{w: a.stdout, json: f.JSON, zone: a.now().Location(), table: a.newAuditTable()}
	switch {
	case f.Verify:
		return a.verifyAudit(ctx, files)
	case f.Follow:
		return a.followAudit(ctx, files, p)
	}
	return a.showAudit(ctx, files, p)
}

// showAudit prints one session, or those that were asked for.
func (a *app) showAudit(ctx context.Context, files auditFiles, p *auditPrinter) error {
	paths, err := files.list()
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return withHint(errors.New("there is no audit yet"), "`kz run --blind` and `kz proxy` write one")
	}
	shown, strange := 0, 0
	for _, path := range paths {
		wanted := files.session
		if wanted == "" {
			if wanted, err = lastSession(ctx, path); err != nil {
				return err
			}
		}
		bad, err := readAudit(ctx, path, func(l auditLine) error {
			if !ofSession(l.Session, wanted) {
				return nil
			}
			shown++
			return p.print(path, l)
		})
		if err != nil {
			return err
		}
		strange += bad
	}
	if strange > 0 {
		a.ui.Warnf("%s could not be read; `kz audit --verify` says where", plural(strange, "line"))
	}
	switch {
	case shown == 0 && files.session != "":
		return withHint(fmt.Errorf("no line is of session %q", files.session), "`kz audit --session all` shows every one")
	case shown == 0:
		a.ui.Notef("nothing was requested: %s", paths[len(paths)-1])
	}
	return nil
}

// verifyAudit checks the chain of each file.
func (a *app) verifyAudit(ctx context.Context, files auditFiles) error {
	if files.session == "" && files.dir != "" {
		files.session = "all"
	}
	paths, err := files.list()
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return withHint(errors.New("there is no audit to verify"), "name its file, or run something with `kz run --blind`")
	}
	broken := 0
	for _, path := range paths {
		r, err := verifyFile(ctx, path)
		if err != nil {
			return err
		}
		said := fmt.Sprintf("%s, the chain is whole", plural(r.Lines, "line"))
		switch {
		case r.BadLine > 0:
			broken++
			said = fmt.Sprintf("%s, broken at line %d: %s", plural(r.Lines, "line"), r.BadLine, r.Why)
		case r.Chain != "":
			said += " and ends in " + shortHash(r.Chain)
		}
		if r.Incomplete > 0 {
			said += fmt.Sprintf("; %s left incomplete when kz was ended", plural(r.Incomplete, "line"))
		}
		if _, err := fmt.Fprintf(a.stdout, "%s: %s\n", oneLine(path), said); err != nil {
			return err
		}
	}
	if broken > 0 {
		return &cliError{err: fmt.Errorf("the chain is broken in %d of %s", broken, plural(len(paths), "file")), code: 1,
			hint: "what stands before that line is as kz wrote it; what stands behind it may not be"}
	}
	return nil
}

// verifyFile looks twice at an end that may be in the middle of being written.
func verifyFile(ctx context.Context, path string) (r audit.Report, err error) {
	for range 2 {
		f, err := openAudit(path)
		if err != nil {
			return r, err
		}
		r, err = audit.Verify(untilDone{ctx, f})
		_ = f.Close()
		if err != nil {
			return r, fmt.Errorf("reading the audit %s: %w", path, err)
		}
		if r.BadLine == 0 {
			break
		}
	}
	return r, nil
}

// shortHash is what a person compares.
func shortHash(chain string) string { return chain[:min(16, len(chain))] }

// auditFiles are the files to read: those named, or those of the directory that may have the session.
type auditFiles struct {
	dir     string // where sessions without --audit write; "" when files were named
	paths   []string
	session string // "": the latest; "all"
}

// list are the paths, the latest last.
func (f auditFiles) list() ([]string, error) {
	if f.dir == "" {
		return f.paths, nil
	}
	all, err := auditsIn(f.dir)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	switch f.session {
	case "":
		return all[len(all)-1:], nil
	case "all":
		return all, nil
	}
	return slices.DeleteFunc(all, func(path string) bool {
		_, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), auditExt), "-")
		return !ofSession(id, f.session)
	}), nil
}

// auditExt ends the names of the files in the audit directory, which begin with their time.
const auditExt = ".jsonl"

func auditsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the audit directory: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), auditExt) && e.Type().IsRegular() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

func ofSession(id, wanted string) bool {
	return wanted == "all" || strings.HasPrefix(id, wanted)
}
