package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

// topicHead begins the table of `kz help runtimes`, which ends with the reasons: the first empty line after one.
const topicHead = "  client                                        proxy  trust  swap\n"

// TestTheTopicHasTheMatrix holds the table of `kz help runtimes` to the rows.
func TestTheTopicHasTheMatrix(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(bed.Root(), "cmd/kz/cli/topics/runtimes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := topicTable(matrixRows())
	if !strings.Contains(string(text), "\n\n"+want+"\n") {
		t.Errorf("the topic runtimes has another table than this:\n%s", want)
	}
}

// byVersion are rows of one client in several versions of what runs it.
var byVersion = regexp.MustCompile(`^(Node|Java) ([0-9.]+)(: .*)$`)

// topicTable is the matrix in 80 columns: one line for the versions that do the same, and the reasons by number.
func topicTable(rows []row) string {
	type line struct {
		versions          []string
		what, rest, cells string
	}
	var lines []*line
	var reasons []string
	for _, r := range rows {
		l := &line{what: r.client}
		if m := byVersion.FindStringSubmatch(r.client); m != nil {
			l.what, l.versions, l.rest = m[1], []string{m[2]}, m[3]
		}
		for _, c := range []cell{r.proxy, r.trust, r.swap} {
			text := "ok"
			switch {
			case c.reason == notAsked.reason:
				text = "-"
			case c.reason != "":
				n := slices.Index(reasons, c.reason)
				if n < 0 {
					n, reasons = len(reasons), append(reasons, c.reason)
				}
				text = fmt.Sprintf("(%d)", n+1)
			}
			l.cells += fmt.Sprintf("%-7s", text)
		}
		same := slices.IndexFunc(lines, func(o *line) bool {
			return l.versions != nil && o.what == l.what && o.rest == l.rest && o.cells == l.cells
		})
		if same >= 0 {
			lines[same].versions = append(lines[same].versions, l.versions...)
			continue
		}
		lines = append(lines, l)
	}
	var out strings.Builder
	out.WriteString(topicHead)
	for _, l := range lines {
		name := l.what
		if l.versions != nil {
			name += " " + strings.Join(l.versions, ", ") + l.rest
		}
		fmt.Fprintf(&out, "  %-46s%s\n", name, strings.TrimRight(l.cells, " "))
	}
	out.WriteString("\n")
	for i, reason := range reasons {
		out.WriteString(wrapped(fmt.Sprintf("  (%d) ", i+1), reason))
	}
	return out.String()
}

// wrapped is a text after a mark, in lines of at most 80 columns.
func wrapped(mark, text string) string {
	var out strings.Builder
	line := mark
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > 80 {
			out.WriteString(line + "\n")
			line = strings.Repeat(" ", len(mark))
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	return out.String() + line + "\n"
}

// TestAProxyInAClientsOwnSettingsGoesFirst: what the topic says of files that stand over variables. Nothing is at the proxy that
// they name, and the client does not ask kz's instead.
func TestAProxyInAClientsOwnSettingsGoesFirst(t *testing.T) {
	t.Parallel()
	const other = "http://127.0.0.1:9"
	for _, c := range []struct {
		file, text, program, script, says string
	}{
		{".gitconfig", "[http]\n\tproxy = " + other + "\n", "git", `"$0" ls-remote "https://x:$API_KEY@api.test/repo.git"`, "127.0.0.1 port 9"},
		{".wgetrc", "https_proxy = " + other + "\n", "wget", `"$0" -t 1 -O- https://api.test/echo`, "127.0.0.1:9... failed"},
		{".curlrc", "proxy = " + other + "\n", "curl", `"$0" -sS https://api.test/echo`, "127.0.0.1 port 9"},
		{"pip.conf", "[global]\nproxy = " + other + "\nretries = 0\n", "python3", `PIP_CONFIG_FILE=pip.conf "$0" -m pip download -q https://api.test/kz_demo-1.0.0-py3-none-any.whl`, "Cannot connect to proxy"},
	} {
		t.Run(c.program+" asks the proxy in "+c.file, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			if err := os.WriteFile(b.Path("home/"+c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			res := b.Run("/bin/sh", "-ec", c.script, bed.Program(t, c.program))
			b.Clean(res)
			if lines := b.Audit(); res.Code == 0 || len(lines) != 0 || !strings.Contains(res.Output(), c.says) {
				t.Errorf("exit code %d, not %q; kz was asked: %+v\n%s", res.Code, c.says, lines, res.Output())
			}
		})
	}
}
