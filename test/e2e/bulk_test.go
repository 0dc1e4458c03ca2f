package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/origin"
)

// A gibibyte goes each way by HTTP/1.1, and a quarter of one by HTTP/2. heldAtMost is what kz may hold of it, in KiB.
const (
	gibibyte   = 1 << 30
	heldAtMost = 100_000_000 / 1024
)

// TestGibibyte moves a gibibyte each way, byte for byte, through a kz that is built without the race detector.
func TestGibibyte(t *testing.T) {
	if testing.Short() {
		t.Skip("a gibibyte each way was left out")
	}
	kz := filepath.Join(t.TempDir(), "kz")
	build := exec.Command("go", "build", "-o", kz, "./cmd/kz")
	build.Dir = bed.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	curl := bed.Program(t, "curl") + ` -sS -f -H "Authorization: Bearer $API_KEY"`
	const rows = 4 << 20 // of 64 bytes
	row := `"` + strings.Repeat("0123456789abcde,", 4)[:61] + `",`
	script := `set -e
echo "mask: $API_KEY"
held() { echo "$1-held: $(awk '/VmHWM/ {print $2}' /proc/$PPID/status)"; }
`
	sizes := map[string]int64{"http1.1": gibibyte, "http2": gibibyte / 4}
	for version, size := range sizes {
		script += fmt.Sprintf(`
%[2]s --%[1]s -o '%[4]s' 'https://api.test/bytes?seed=7&n=%[3]d'
echo "down-%[1]s: $(sha256sum < '%[4]s')"
held down-%[1]s
%[2]s --%[1]s -T '%[4]s' -o /dev/null 'https://api.test/sink?%[1]s'
held up-%[1]s
`, version, curl, size, b.Path("etc/big"))
	}
	script += fmt.Sprintf(`
(printf '{"password":"%%s","rows":[' "$API_KEY"; yes '%s' | head -n %d | tr -d '\n'; printf '0],"note":"%%s"}' "$API_KEY") |
	%s -H "Content-Type: application/json" -T - -o /dev/null 'https://api.test/sink?json'
held json
`, row, rows, curl)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, kz, "run", "--quiet", "--blind", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--", "/bin/sh", "-c", script)
	cmd.Dir, cmd.Env = b.Path("home"), []string{"PATH=" + bed.Path, "HOME=" + b.Path("home"), "TMPDIR=" + b.Path("home/tmp")}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr.Bytes())
	}
	t.Logf("it took %s\n%s", time.Since(began).Round(time.Second), stdout)
	b.Clean(bed.Result{Stdout: stdout, Stderr: stderr.Bytes()})

	sent := map[string]origin.Record{}
	for _, r := range received(t, b, "/sink") {
		sent[r.Query] = r
	}
	for version, size := range sizes {
		want := origin.StreamSHA(7, size)
		if got := field(string(stdout), "down-"+version); !strings.HasPrefix(got, want+" ") {
			t.Errorf("down by %s came %s", version, got)
		}
		if got := sent[version]; got.BodyLen != size || got.BodySHA != want || got.ContentLength != size {
			t.Errorf("up by %s came %d bytes (Content-Length %d)", version, got.BodyLen, got.ContentLength)
		}
	}
	body := sha256.New()
	fmt.Fprintf(body, `{"password":"%s","rows":[`, value)
	for range rows {
		_, _ = io.WriteString(body, row)
	}
	fmt.Fprintf(body, `0],"note":"%s"}`, field(string(stdout), "mask"))
	if got := sent["json"]; got.BodySHA != hex.EncodeToString(body.Sum(nil)) {
		t.Errorf("the long JSON came as %d other bytes", got.BodyLen)
	}
	for _, m := range regexp.MustCompile(`(?m)^(\S+)-held: (\d+)$`).FindAllStringSubmatch(string(stdout), -1) {
		if held, err := strconv.Atoi(m[2]); err != nil || held > heldAtMost {
			t.Errorf("after %s kz had held %s KiB, more than %d", m[1], m[2], heldAtMost)
		}
	}
	if n := strings.Count(string(stdout), "-held: "); n != 5 {
		t.Errorf("%d figures of what kz held", n)
	}
}
