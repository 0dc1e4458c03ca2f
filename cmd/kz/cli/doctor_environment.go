package cli

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kz/ca"
	"kz/cmd/kz/config"
	"kz/masking"
)

// examineEnvironment looks at what the parent has set, and kz replaces or takes out.
func (a *app) examineEnvironment(cfg *config.Config) []finding {
	var found []finding
	add := func(f *finding) {
		if f != nil {
			found = append(found, *f)
		}
	}
	add(a.inheritedNoProxy(cfg))
	add(a.inheritedProxy(cfg))
	add(a.inheritedRoots(cfg))
	add(a.verificationOff())
	add(a.staleMasks(cfg))
	add(a.environmentCredentials(cfg))
	return found
}

// inheritedNoProxy: kz gives programs a NO_PROXY of its own; whoever sets the other one again leads them past kz.
func (a *app) inheritedNoProxy(cfg *config.Config) *finding {
	name, list := "NO_PROXY", a.getenv("NO_PROXY")
	if list == "" {
		name, list = "no_proxy", a.getenv("no_proxy")
	}
	var past []string
	for _, host := range boundHosts(cfg) {
		if pastProxy(list, strings.TrimPrefix(host, "*.")) {
			past = append(past, host)
		}
	}
	switch {
	case list == "":
		return nil
	case len(past) > 0:
		return &finding{ID: "no-proxy", Weight: weighsWarning, Title: name + " is set here, and names " + strings.Join(few(past), ", "),
			Why: "kz replaces it in a blind program; one that sets it again, as a startup file of a shell may, goes past kz with the mask",
			Fix: "take " + strings.Join(few(past), ", ") + " out of " + name + " where it is set: `grep -n -i no_proxy ~/.*rc ~/.*profile`"}
	}
	return &finding{ID: "no-proxy", Weight: weighsNote, Title: name + " is set here, and a blind program does not get it",
		Why: "it gets loopback alone, so that nothing else goes past kz", Fix: "nothing; --no-force-proxy leaves the proxy variables of yours alone, and then nothing is swapped"}
}

// pastProxy reads a list of NO_PROXY as clients do: suffixes, with or without a full stop or star before, and * for all.
func pastProxy(list, host string) bool {
	for _, entry := range strings.FieldsFunc(strings.ToLower(list), func(r rune) bool { return r == ',' || r == ' ' }) {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(entry, "*"), "."), ":")
		if entry == "*" || name != "" && (host == name || strings.HasSuffix(host, "."+name)) {
			return true
		}
	}
	return false
}

// inheritedProxy: where hosts are reached only through another proxy, kz must be told so.
func (a *app) inheritedProxy(cfg *config.Config) *finding {
	if cfg.Egress.UpstreamProxy != "" {
		return nil
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		given := a.getenv(name)
		if given == "" {
			continue
		}
		if !strings.Contains(given, "://") {
			given = "http://" + given
		}
		u, err := url.Parse(given)
		f := &finding{ID: "upstream-proxy", Weight: weighsWarning, Title: name + " is set here, and kz dials hosts itself",
			Why: "a blind program gets kz as its proxy in place of that one; if this network lets nothing out but by it, no host is reached"}
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https":
			f.Fix = "write an http:// or https:// proxy, if there is one:\n[egress]\nupstream_proxy = \"http://HOST:PORT\""
		default:
			f.Fix = fmt.Sprintf("if hosts are reached by it alone, write into the configuration:\n[egress]\nupstream_proxy = %q", u.Scheme+"://"+u.Host)
			if u.User != nil {
				f.Why += "; it asks for a password, which kz cannot give it"
			}
		}
		return f
	}
	return nil
}

// inheritedRoots: certificates that the parent's programs trust, and kz would not.
func (a *app) inheritedRoots(cfg *config.Config) *finding {
	known := map[[sha256.Size]byte]bool{}
	if system, err := ca.SystemRoots(); err == nil {
		for _, c := range authorities(system) {
			known[c] = true
		}
	}
	if cfg.Egress.UpstreamCA != "" {
		for _, c := range authorities([]byte(readSome(cfg.Egress.UpstreamCA))) {
			known[c] = true
		}
	}
	for _, name := range slices.Concat(bundleVariables, caVariables) {
		path := a.getenv(name)
		if !filepath.IsAbs(path) {
			continue
		}
		more := slices.DeleteFunc(authorities([]byte(readSome(path))), func(c [sha256.Size]byte) bool { return known[c] })
		if len(more) > 0 {
			return &finding{ID: "extra-roots", Weight: weighsWarning, Title: fmt.Sprintf("%s names %s that kz does not trust for hosts", name, authoritiesNamed(len(more))),
				Why: "kz replaces it in a blind program, and checks hosts itself by the system's roots; a host, or a proxy of your company, that needs it is refused with upstream_unverified",
				Fix: fmt.Sprintf("if hosts need it, write into the configuration:\n[egress]\nupstream_ca = %q", path)}
		}
	}
	return nil
}

func authoritiesNamed(n int) string {
	if n == 1 {
		return "an authority"
	}
	return fmt.Sprintf("%d authorities", n)
}

// authorities are the certificates of a PEM file, by their hashes.
func authorities(data []byte) [][sha256.Size]byte {
	var all [][sha256.Size]byte
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return all
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, sha256.Sum256(block.Bytes))
		}
		data = rest
	}
}

// verificationOff: with these a program would trust anybody.
func (a *app) verificationOff() *finding {
	var set []string
	for _, v := range a.environ {
		name, value, _ := splitVar(v)
		off := map[string]bool{"node_tls_reject_unauthorized": value == "0", "pythonhttpsverify": value == "0", "git_ssl_no_verify": value != "", "npm_config_strict_ssl": value == "false"}
		if off[strings.ToLower(name)] && a.getenv(name) == value {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return nil
	}
	return &finding{ID: "verification-off", Weight: weighsNote, Title: strings.Join(set, ", ") + " switches the check of certificates off",
		Why: "kz takes it out of a blind program, and always checks hosts; every other program here talks to whoever answers", Fix: "`unset " + strings.Join(set, " ") + "`"}
}

// staleMasks: a mask outside of a session is of one that has ended.
func (a *app) staleMasks(cfg *config.Config) *finding {
	var where []string
	for _, v := range a.environ {
		if name, value, ok := splitVar(v); ok && strings.Contains(value, masking.Prefix) && a.getenv(name) == value {
			where = append(where, name+" in the environment")
		}
	}
	for _, dir := range a.workDirs() {
		_, masks := examineDotenv(dir, isDotenv)
		where = append(where, masks...)
	}
	for _, source := range cfg.Sources {
		if strings.Contains(readSome(source.RealPath), masking.Prefix) {
			where = append(where, filepath.Base(source.Path))
		}
	}
	if len(where) == 0 {
		return nil
	}
	return &finding{ID: "stale-mask", Weight: weighsWarning, Title: "there is a mask where none means anything: " + strings.Join(few(where), ", "),
		Why: "a mask stands for its value in one session only; sent from another it is refused with mask_unknown", Fix: "remove it there, and put the value itself into its store with `kz put NAME`"}
}

// environmentCredentials: what a shell has exported, each of its programs can be asked for.
func (a *app) environmentCredentials(cfg *config.Config) *finding {
	var names []string
	managed := append(sourceVariables(cfg), secretNames(cfg.Secrets)...)
	for _, v := range a.environ {
		name, value, ok := splitVar(v)
		if !ok || value == "" || strings.Contains(value, masking.Prefix) || isProxyVariable(name) || slices.Contains(names, name) {
			continue
		}
		if slices.Contains(managed, name) || credentialName(name) || credentialShape(value) || matchesAny(name, []string{"AWS_SESSION_TOKEN", "VAULT_*TOKEN", "BAO_*TOKEN", "OP_SESSION*", "BW_SESSION"}) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return &finding{ID: "exposed-environment", Weight: weighsWarning, Title: "the environment here holds " + strings.Join(few(names), ", "),
		Why: "kz keeps it from a blind program, which may read it all the same from other programs of yours that have it (on Linux in /proc)",
		Fix: "keep them in a store (`kz init`, `kz put NAME`), and take them out of the files that export them"}
}

// workDirs are the working directory and the top of its workspace.
func (a *app) workDirs() []string {
	dir, err := a.cwd()
	if err != nil {
		return nil
	}
	dirs := []string{dir}
	if top := config.Workspace(dir, a.getenv); top != "" && top != dir {
		dirs = append(dirs, top)
	}
	return dirs
}

// isDotenv: a dotenv file, and no example of one.
func isDotenv(name string) bool {
	if name != ".env" && !strings.HasPrefix(name, ".env.") && !strings.HasSuffix(name, ".env") {
		return false
	}
	return !slices.ContainsFunc([]string{"example", "sample", "template", "dist"}, func(word string) bool { return strings.Contains(name, word) })
}

// readSome is the beginning of a file, as much as files of this kind have; "" when it cannot be read.
func readSome(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data, _ := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(data)
}

// examineShell starts the user's login shell blind, and looks which variables of kz its startup files change: an agent that
// runs its commands in one would be led astray.
func (a *app) examineShell(ctx context.Context, s *doctorSession) *finding {
	shell := a.getenv("SHELL")
	if !filepath.IsAbs(shell) || !slices.Contains([]string{"sh", "bash", "zsh", "dash", "ksh", "fish"}, filepath.Base(shell)) {
		return nil
	}
	env, err := s.environ(ctx, a)
	if err != nil {
		return nil
	}
	output, code, _ := runProbe(ctx, s.dir, env, []string{shell, "-l", "-c", "env"})
	if code != 0 {
		return nil
	}
	after := strings.Split(output, "\n")
	var changed []string
	for _, v := range s.environment(s.url, s.files).variables(false) {
		if value, _ := lastValue(after, v.name); value != v.value {
			changed = append(changed, v.name)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	slices.Sort(changed)
	return &finding{ID: "shell-startup", Weight: weighsWarning, Title: "a login shell changes " + strings.Join(few(changed), ", "),
		Why: "an agent that runs its commands by " + shell + " -l does not come to kz, or does not trust it",
		Fix: "in the startup file that sets it (`grep -n " + changed[0] + " ~/.*profile ~/.*rc ~/.zshenv`), do so outside of a session only:\n[ -n \"$KZ_SESSION\" ] || export " + changed[0] + "=…"}
}
