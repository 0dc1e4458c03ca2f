package bed

import (
	"bufio"
	"bytes"
	"os"
	"slices"
	"strings"
)

// Proxy is a running `kz proxy`.
type Proxy struct {
	*Process
	Env []string // what its env file gives a client, NAME=value

	bed *Bed
}

// StartProxy starts `kz proxy` with flags beside --config, --audit, --env-file and
// --ca-dir, and waits until it is ready.
func (b *Bed) StartProxy(flags ...string) *Proxy {
	b.t.Helper()
	file := b.Path("home/proxy.env")
	_ = os.Remove(file)
	p := &Proxy{bed: b, Process: b.StartKZ(slices.Concat([]string{
		"proxy", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--env-file", file, "--ca-dir", b.Path("home/ca"),
	}, flags)...)}
	Eventually(b.t, "kz proxy has written its env file", func() bool {
		text, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			if l := strings.TrimSpace(lines.Text()); l != "" && !strings.HasPrefix(l, "#") {
				p.Env = append(p.Env, l)
			}
		}
		return true
	})
	return p
}

// Get is the value of a variable of Env; "" when it is not there.
func (p *Proxy) Get(name string) string {
	for _, kv := range p.Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// Client runs argv with the proxy's environment, as a container would have it.
func (p *Proxy) Client(argv ...string) Result {
	p.bed.t.Helper()
	home := p.bed.Path("home")
	return start(p.bed.t, home, append([]string{"PATH=" + Path, "HOME=" + home, "TMPDIR=" + p.bed.Path("home/tmp")}, p.Env...), argv).Wait()
}
