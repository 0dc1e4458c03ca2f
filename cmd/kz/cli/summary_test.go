package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"kz/proxy/audit"
)

func TestTheSummaryNamesWhatAClientThatDoesNotTrustMayRead(t *testing.T) {
	t.Parallel()
	f, err := audit.OpenFile(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tally := &tally{next: f}
	for _, e := range []audit.Event{
		{Kind: audit.Refusal, Host: "pinned.test", Reason: "the client ended the TLS handshake"},
		{Kind: audit.Refusal, Host: "evil.test", Code: "host_not_bound"},
		{Kind: audit.Request, Host: "api.test"},
	} {
		if err := tally.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	tally.tell(newUI(&out, false), nil, f)
	var warned []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "kz: warning: ") {
			warned = append(warned, line)
		}
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "pinned.test") || !strings.Contains(warned[0], "SSL_CERT_FILE") || !strings.Contains(warned[0], "NODE_EXTRA_CA_CERTS") {
		t.Errorf("said %q", out.String())
	}
}
