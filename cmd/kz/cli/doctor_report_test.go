//go:build unix

package cli

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// sick is a patient with faults of each weight, and with those of the example in the topic.
func sick(t *testing.T) *patient {
	t.Helper()
	p := newPatient(t)
	p.write("project/kz.toml", strings.Replace(p.config, `hosts = ["api.test"]`, "", 1))
	p.write("bin/node", "#!/bin/sh\n[ \"$1\" = --version ] && echo v18.0.0 || { echo no network without a proxy >&2; exit 1; }\n")
	p.env = append(p.env, "NO_PROXY=corp.example", "HTTPS_PROXY=http://proxy.corp:3128")
	p.write(".aws/credentials", "[default]\n")
	return p
}

func TestDoctorReadsWell(t *testing.T) {
	t.Parallel()
	p := sick(t)
	p.write("project/agent.js", "")
	code, stdout, stderr := p.kz(append(p.args, "--", "node", "agent.js")...)
	if code != exitUnhealthy || stderr != "no network without a proxy\n" {
		t.Errorf("exit code %d, and on standard error %q", code, stderr)
	}
	for line := range strings.Lines(stdout) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) > reportWidth && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, p.home) {
			t.Errorf("wider than %d columns: %s", reportWidth, line)
		}
	}
	if strings.ContainsAny(stdout, "\x1b\t") {
		t.Errorf("there is colour, or a tab, in a pipe: %q", stdout)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "1 error, ") || !strings.HasSuffix(last, ": mend the errors first") {
		t.Errorf("its verdict is %q", last)
	}

	// What the topic shows is what it prints, in that order; of the machine's own findings there may be more.
	text, err := os.ReadFile("topics/doctor.txt")
	if err != nil {
		t.Fatal(err)
	}
	shown, rest := 0, stdout
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "  $ ") || strings.HasPrefix(line, "  - ") {
			continue
		}
		if strings.HasPrefix(line, "    ") && shown < 3 { // the list's own lines
			continue
		}
		if shown++; shown > 11 {
			break
		}
		want := strings.NewReplacer("/usr/local/bin/node", p.path("bin/node"), ".keyzero.toml", "kz.toml").Replace(line)
		_, after, ok := strings.Cut(unwrapped(rest), strings.Join(strings.Fields(want), " "))
		if !ok {
			t.Errorf("the topic shows what is not there, or not in that order:\n%s%s", line, stdout)
			continue
		}
		rest = after
	}
	if shown < 11 {
		t.Errorf("only %d lines of the example were compared", shown)
	}
}

// unwrapped is a text in one line.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestDoctorColoursTheWeightsOnATerminal(t *testing.T) {
	t.Parallel()
	d := &diagnosis{redact: func(s string) string { return s }}
	d.find(finding{ID: "b", Weight: weighsNote, Title: "n"}, finding{ID: "a", Weight: weighsError, Title: "e\x1b[2J", Fix: "do\nso"})
	d.sort()
	var b strings.Builder
	if err := d.print(&b, true); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, red+"error:"+reset+` e\x1b[2J (a)`+"\n  fix  do\n       so\n") || !strings.Contains(got, "\nnote: n (b)\n") {
		t.Errorf("it prints %q", got)
	}
}

// TestDoctorAsJSON holds the members of the form: others read them.
func TestDoctorAsJSON(t *testing.T) {
	t.Parallel()
	p := sick(t)
	code, stdout, _ := p.kz(append(p.args, "--json", "--", "node", "agent.js")...)
	var whole map[string]any
	if err := json.Unmarshal([]byte(stdout), &whole); err != nil || code != exitUnhealthy {
		t.Fatalf("exit code %d, %v: %s", code, err, stdout)
	}
	member := func(name string) map[string]any {
		switch v := whole[name].(type) {
		case map[string]any:
			return v
		case []any:
			if len(v) > 0 {
				one, _ := v[0].(map[string]any)
				return one
			}
		}
		return nil
	}
	for _, c := range []struct {
		of    string
		names map[string]any
		want  string
	}{
		{"all", whole, "command findings form kz ok platform runtimes swap"},
		{"a finding", member("findings"), "fix id title weight why"},
		{"a runtime", member("runtimes"), "name program proxy state swap trust version"},
		{"the command", member("command"), "configuration direct exit_code hosts kind never_swapped program swapped"},
	} {
		if got := strings.Join(slices.Sorted(maps.Keys(c.names)), " "); got != c.want {
			t.Errorf("the members of %s are %q, want %q", c.of, got, c.want)
		}
	}
}

func TestDoctorTellsKindsOfPrograms(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	for name, c := range map[string]struct{ content, want, mends string }{
		"a":     {"#!/usr/bin/env node\n", "script for node", "NODE_USE_ENV_PROXY"},
		"b":     {"#!/usr/bin/env -S python3.11 -u\n", "script for python3.11", "sitecustomize"},
		"c":     {"#!/bin/sh\n", "script for sh", "kz doctor -- "},
		"d":     {"\x7fELF" + strings.Repeat("x", 9000) + "\n---- Bun! ----\n", "program built by bun", "bun"},
		"e":     {"\x7fELF" + strings.Repeat("x", 100) + "d3n0l4nd12345678", "program built by deno", "deno"},
		"f":     {"\x7fELF", "native program", "HTTPS_PROXY"},
		"java":  {"\x7fELF", "java", "JAVA_TOOL_OPTIONS"},
		"empty": {"", "program", "HTTPS_PROXY"},
	} {
		p.write("bin/"+name, c.content)
		if got := kindOf(p.path("bin/" + name)); got.name != c.want || !strings.Contains(got.direct, c.mends) || got.distrust == "" {
			t.Errorf("%s is %+v, want %q", name, got, c.want)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got := kindOf(self); !strings.HasPrefix(got.name, "Go program (go1.") || !strings.Contains(got.distrust, "kz ca install") {
		t.Errorf("this test is %+v", got)
	}
}
