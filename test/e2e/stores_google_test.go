package e2e_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kz/resolver/resolvertest/gcpfake"
	"kz/test/bed"
)

// TestGooglesClientAgreesWithTheFake: kz speaks the interface of Secret Manager itself, so Google's own client is the judge of
// what the fake says.
func TestGooglesClientAgreesWithTheFake(t *testing.T) {
	t.Parallel()
	client := bed.GCPClient(t)
	fake := gcpfake.New()
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	fake.Put(gcpfake.Project, "disabled", "x")
	fake.Version(gcpfake.Project, "disabled", 1, "DISABLED")
	fake.Put(gcpfake.Project, "denied", "x")
	fake.Fail(gcpfake.Failure{Secret: "denied", HTTP: 403, Status: "PERMISSION_DENIED", Reason: "IAM_PERMISSION_DENIED"})
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, fake.KeyFile(srv.URL+"/token"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), client, srv.URL, file, gcpfake.Project)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, errs.String())
	}
	const want = `a secret that is not there: error 404 
a version of a secret that is not there: error 404 
a new secret: ok
the same secret: error 409 
a secret without a version: error 404 
a version: ok
a version with a wrong checksum: error 400 
the latest version: one
a version by number: one
a version that is not there: error 404 
a disabled version: error 400 
a denied secret: error 403 IAM_PERMISSION_DENIED
`
	if string(out) != want {
		t.Errorf("it says:\n%swant:\n%s", out, want)
	}
	if n := fake.Count("token"); n != 1 {
		t.Errorf("%d logins", n)
	}
}
