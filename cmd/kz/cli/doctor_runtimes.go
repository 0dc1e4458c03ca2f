package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kz/proxy/audit"
)

// runtimeReport is what one runtime or tool does with the environment of a blind program.
type runtimeReport struct {
	Name    string `json:"name"`
	Program string `json:"program"` // its path
	Version string `json:"version"`
	State   string `json:"state"` // ok, direct, untrusted, credential, unswapped, slow, broken, untried or leaked
	// "yes", "no", or "-" where it did not come so far, or was not asked to.
	Proxy string `json:"proxy"` // came by the proxy
	Trust string `json:"trust"` // took the CA
	Swap  string `json:"swap"`  // the value arrived, and the program saw the mask
}

// probeTime is how long a runtime may take: on a machine that is busy a JVM takes seconds to start.
const probeTime = 30 * time.Second

// probesAtOnce bounds how many run side by side.
const probesAtOnce = 4

// attempt is one probe as it went.
type attempt struct {
	probe
	host    string
	path    string
	version string
	output  string
	code    int
	slow    bool
}

// examineRuntimes proves one swap, and probes what is on PATH.
func (a *app) examineRuntimes(ctx context.Context, d *diagnosis, setup *setup, probed *atomic.Int32) {
	s, err := a.newDoctorSession(ctx, false)
	if err != nil {
		d.find(findingsOf("session", weighsError, err, "no blind session can be started")...)
		return
	}
	defer s.end()
	s.here, s.ownPath = setup.cfg, !setup.approved // what nobody has approved starts nothing
	if err := s.prove(ctx); err != nil {
		d.find(finding{ID: "swap", Weight: weighsError, Title: "no value could be swapped on this machine: " + err.Error(),
			Why: "kz itself made a request by its proxy to an API on loopback", Fix: "look whether something filters connections of this user on loopback"})
	} else {
		d.Swap = true
	}
	tried, err := a.tryAll(ctx, s, probed)
	if err != nil {
		d.find(findingsOf("session", weighsError, err, "no program can be started blind")...)
		return
	}
	events, err := s.events()
	if err != nil {
		d.find(findingsOf("session", weighsError, err, "what the proxy did is not known")...)
	}
	for _, t := range tried {
		if t == nil {
			continue
		}
		report := t.judge(events[t.host], s.tunnels.tunnelTo(t.host), s.swapped(t.host), strings.Contains(t.output, s.value))
		d.Runtimes = append(d.Runtimes, report)
		d.find(t.findings(report)...)
	}
	if shell := a.examineShell(ctx, s); shell != nil {
		d.find(*shell)
	}
}

// tryAll runs the probes whose programs are there; of the others it has nil.
func (a *app) tryAll(ctx context.Context, s *doctorSession, probed *atomic.Int32) ([]*attempt, error) {
	all := probes()
	tried := make([]*attempt, len(all))
	var g errgroup.Group
	g.SetLimit(probesAtOnce)
	for i, p := range all {
		host := strings.Trim(notHost.ReplaceAllString(strings.ToLower(p.name), "-"), "-") + "." + doctorDomain
		c := call{url: "https://" + host + "/", host: host, mask: s.mask(), dir: filepath.Join(s.dir, p.programs[0]+"-"+host)}
		var more []string
		if p.env != nil {
			more = p.env(c)
		}
		env, err := s.environ(ctx, a, more...)
		if err != nil {
			return nil, err
		}
		path := firstProgram(p.programs, env)
		if path == "" {
			continue
		}
		g.Go(func() error {
			defer probed.Add(1)
			t := &attempt{probe: p, host: host, path: path}
			if err := writeFiles(c.dir, p.files); err != nil {
				return err
			}
			t.output, t.code, t.slow = runProbe(ctx, c.dir, env, append([]string{path}, p.argv(c)...))
			if t.code == exitNothing {
				return nil
			}
			tried[i] = t
			if !t.slow {
				version, _, _ := runProbe(ctx, c.dir, env, append([]string{path}, versionArgs(p)...))
				t.version = versionOf(version)
			}
			return nil
		})
	}
	return tried, g.Wait()
}

// versionOf is the first number in what a program says of itself. A JVM says first what its environment has.
func versionOf(output string) string {
	for line := range strings.Lines(output) {
		if v := versionIn.FindString(line); v != "" && !strings.HasPrefix(line, "Picked up ") {
			return v
		}
	}
	return ""
}

func versionArgs(p probe) []string {
	if p.version != nil {
		return p.version
	}
	return []string{"--version"}
}

// writeFiles makes a probe's directory and what it needs in it.
func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a directory for a probe: %w", err)
	}
	for name, content := range files {
		if err := writeFileAtomic(filepath.Join(dir, name), []byte(content)); err != nil {
			return err
		}
	}
	return nil
}

var (
	notHost   = regexp.MustCompile(`[^a-z0-9]+`)
	versionIn = regexp.MustCompile(`\d+(\.\d+)+`)
)

// firstProgram is the path of the first of the names that the PATH of env has; "" for none. Relative directories are left out.
func firstProgram(names, env []string) string {
	for _, name := range names {
		if path, err := lookCommand(name, env); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	return ""
}

// runProbe runs a program to its end, or for probeTime, without standard input.
func runProbe(ctx context.Context, dir string, env, argv []string) (output string, code int, slow bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	out := &tail{most: 16 << 10}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, out, out
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		return err.Error(), exitCannotExecute, false
	}
	return out.String(), cmd.ProcessState.ExitCode(), ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.Canceled)
}

// tail keeps the end of what is written to it. It is for one program whose two streams are one.
type tail struct {
	most int
	b    bytes.Buffer
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if over := t.b.Len() - t.most; over > t.most {
		t.b.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return t.b.String() }

// judge says from what the proxy and the API saw how it went.
func (t *attempt) judge(events []audit.Event, asked, swapped, leaked bool) runtimeReport {
	r := runtimeReport{Name: t.name, Program: t.path, Version: t.version, State: "ok", Proxy: "yes", Trust: "yes", Swap: "yes"}
	seen := func(is func(e audit.Event) bool) bool { return slices.ContainsFunc(events, is) }
	switch {
	case leaked:
		r.State, r.Swap = "leaked", "no"
	case len(events) == 0 && asked:
		r.State, r.Trust, r.Swap = "untrusted", "no", "-"
	case len(events) == 0 && t.slow:
		r.State, r.Proxy, r.Trust, r.Swap = "slow", "-", "-", "-"
	case len(events) == 0 && strings.Contains(t.output, "jdk.compiler"): // a Java that is a runtime only cannot run the probe
		r.State, r.Proxy, r.Trust, r.Swap = "untried", "-", "-", "-"
	case len(events) == 0 && t.version == "":
		r.State, r.Proxy, r.Trust, r.Swap = "broken", "-", "-", "-"
	case len(events) == 0:
		r.State, r.Proxy, r.Trust, r.Swap = "direct", "no", "-", "-"
	case seen(func(e audit.Event) bool { return e.Kind == audit.Request }):
		if t.unsigned {
			r.Swap = "-"
		} else if !swapped {
			r.State, r.Swap = "unswapped", "no"
		}
	case seen(func(e audit.Event) bool { return e.Code == "proxy_credential" }):
		r.State, r.Trust, r.Swap = "credential", "-", "-"
	default:
		r.State, r.Trust, r.Swap = "untrusted", "no", "-"
	}
	return r
}

// findings says what is wrong with one runtime.
func (t *attempt) findings(r runtimeReport) []finding {
	f := finding{ID: "runtime-" + r.State, Weight: weighsWarning, Why: t.path + lastWords(t.output)}
	switch r.State {
	case "ok", "untried":
		return nil
	case "direct":
		f.Title, f.Fix = t.name+" does not come to the proxy: what it sends to a bound host has the mask in it", t.direct
	case "untrusted":
		f.Title, f.Fix = t.name+" does not trust the CA of kz", t.distrust
	case "credential":
		f.Title, f.Fix = t.name+" does not give the proxy its credential", "see `kz help runtimes` for what it needs"
	case "unswapped":
		f.Title, f.Fix = t.name+" came by the proxy, and no value was swapped", "look for what changes its Authorization header"
	case "slow":
		f.Title, f.Fix = t.name+" did not end within "+probeTime.String(), "start it by hand; a wrapper may wait for something"
	case "broken":
		f.Title, f.Weight, f.Fix = t.name+" does not work here, not even to say its version", weighsNote, "nothing, if it is not used; else install it anew"
	case "leaked":
		f.Title, f.Weight, f.Fix = t.name+" saw the value", weighsError, "do not use it blind, and report this as a defect of kz"
	}
	return []finding{f}
}

// lastWords is how a program ended, in its own words: the last line of its output that is no step of a trace.
func lastWords(output string) string {
	var last []rune
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "at ") {
			last = []rune(line)
		}
	}
	if len(last) == 0 || credentialShape(string(last)) { // it may quote what it was configured with
		return ""
	}
	const most = 160
	if len(last) > most {
		last = append(last[:most-1], '…')
	}
	return ` said "` + string(last) + `"`
}
