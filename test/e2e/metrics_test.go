package e2e_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
)

var metricsURL = regexp.MustCompile(`kz: metrics on (http://127\.0\.0\.1:\d+/metrics)\n`)

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	p := b.StartProxy("--metrics", "0")
	p.Client(bed.Self(t), "@get", "https://api.test/echo").Succeeds(t)
	b.SetStored("API_KEY", "k-another-value-of-this-key-4711")
	b.KZ("reload").Succeeds(t)

	found := metricsURL.FindStringSubmatch(p.Stderr())
	if found == nil {
		t.Fatalf("it does not say where: %s", p.Stderr())
	}
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(found[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	served, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	asked := b.KZ("status", "--metrics")
	asked.Succeeds(t)
	for from, text := range map[string]string{"the address": string(served), "the control socket": string(asked.Stdout)} {
		for _, want := range []string{
			`(?m)^kz_secret_uses_total\{session="[0-9a-f]+",backend="local"\} [1-9]`, `(?m)^kz_retrievals_total\{session="[0-9a-f]+",backend="local"\} 2$`,
			`(?m)^kz_rotations_total\{session="[0-9a-f]+",backend="local"\} 1$`, `(?m)^kz_retrieval_failures_total\{session="[0-9a-f]+",backend="local",kind="timed_out"\} 0$`,
		} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%s does not say %s:\n%s", from, want, text)
			}
		}
		if strings.Contains(text, "API_KEY") {
			t.Errorf("%s names a secret:\n%s", from, text)
		}
	}
	b.Clean(p.Stop(), asked, bed.Result{Stdout: served})
	if _, err := client.Get(found[1]); err == nil {
		t.Error("it goes on when the proxy has ended")
	}
}
