package canary_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kz/test/canary"
)

func TestFind(t *testing.T) {
	t.Parallel()
	v := canary.Value("sk-") + `/"<é &'+`
	c := canary.New(v)
	cases := map[string]string{
		"as it is": "x" + v + "y", "in upper-case hex": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"percent-encoded": url.PathEscape(v), "form-encoded": url.QueryEscape(v), "a piece": "…" + v[10:24] + "…",
		"the last bytes of another value": v[:3] + v[len(v)-12:], "JSON-quoted": fmt.Sprintf("%q", v),
	}
	// What is looked for as a whole must not be found by its pieces alone.
	for name, text := range map[string]string{
		"JSON with slashes": strings.NewReplacer("/", `\/`, `"`, `\"`).Replace(v), "JSON without HTML": strings.ReplaceAll(v, `"`, `\"`),
		"HTML": html.EscapeString(v), "HTML by names": strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "'", "&apos;").Replace(v), "a form": url.QueryEscape(v),
	} {
		t.Run(name+" is known by name", func(t *testing.T) {
			t.Parallel()
			for _, h := range c.Find([]byte(text)) {
				if h.Form != "piece" && h.Form != "raw" {
					return
				}
			}
			t.Error("only pieces of it are found")
		})
	}
	for _, format := range []string{`\u%04X`, `\u%04x`, "&#%d;", "&#x%X;", "&#x%x;"} {
		for _, r := range v {
			cases["each character as "+format] += fmt.Sprintf(format, r)
		}
	}
	for before := range 3 {
		for after := range 3 {
			s := strings.Repeat("a", before) + v + strings.Repeat("z", after)
			cases[fmt.Sprintf("base64, %d before and %d after", before, after)] = base64.StdEncoding.EncodeToString([]byte(s))
			cases[fmt.Sprintf("base64url, %d before and %d after", before, after)] = base64.URLEncoding.EncodeToString([]byte(s))
		}
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if len(c.Find([]byte(text))) == 0 {
				t.Error("not found")
			}
		})
	}
	t.Run("another value is no hit", func(t *testing.T) {
		t.Parallel()
		if hits := c.Find([]byte(canary.Value("sk-") + base64.StdEncoding.EncodeToString([]byte(canary.Value("sk-"))))); len(hits) > 0 {
			t.Errorf("found %v", hits)
		}
	})
	t.Run("a hit does not tell the value", func(t *testing.T) {
		t.Parallel()
		if s := fmt.Sprint(c.In("stdout", []byte(v))); strings.Contains(s, v[:8]) {
			t.Errorf("%s", s)
		}
	})
}

func TestFiles(t *testing.T) {
	t.Parallel()
	v := canary.Value("")
	c, dir := canary.New(v), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if hits, err := c.Files(dir); err != nil || len(hits) > 0 {
		t.Errorf("empty: %v %v", hits, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b", "f"), []byte("x"+v), 0o600); err != nil {
		t.Fatal(err)
	}
	if hits, err := c.Files(dir); err != nil || len(hits) == 0 {
		t.Errorf("with a file: %v %v", hits, err)
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("process memory is only searched on Linux")
	}
	v := canary.Value("")
	start := func(env ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "read line; read again")
		cmd.Env = env
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
		return cmd
	}
	if hits, err := canary.New(v).Process(start("A=" + v).Process.Pid); err != nil || len(hits) == 0 {
		t.Errorf("with it in the environment: %v %v", hits, err)
	}
	if hits, err := canary.New(v).Process(start("A=b").Process.Pid); err != nil || len(hits) > 0 {
		t.Errorf("without it: %v %v", hits, err)
	}
}
