package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/proxy/audit"
)

const explainConfig = `[backends.own]
type = "env_file"
path = "secrets.env"
[secrets.STRIPE_KEY]
backend = "own"
name    = "stripe"
field   = "live"
hosts   = ["api.stripe.test", "*.pay.test:8443"]
swap    = ["header"]
mask    = "sk_live_{mask}"
[secrets.OPENAI_API_KEY]
backend = "own"
[secrets.LEFT_OUT]
backend = "own"
expose  = "omit"
`

// explained runs `kz explain` beside an audit of these events.
func explained(t *testing.T, events []audit.Event, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	dir := t.TempDir()
	config, state := filepath.Join(dir, "kz.toml"), filepath.Join(dir, "home/.local/state/kz/audit")
	if err := os.WriteFile(config, []byte(explainConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if events != nil {
		f, err := audit.OpenFile(filepath.Join(state, "20260101T000000Z-s1.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			e.Session, e.Time = "s1", time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
			if err := f.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		_ = f.Close()
	}
	a, out, said := testApp("HOME=" + filepath.Join(dir, "home"))
	err = execute(background(), newRootCmd(a), append([]string{"explain", "--config", config}, args...))
	a.ui.Error(err)
	return out.String(), said.String(), err
}

var explainEvents = []audit.Event{
	{Kind: audit.Request, Host: "api.stripe.test", Port: 443, Swapped: []audit.Swapped{{Secret: "STRIPE_KEY", Place: "header"}},
		Scrubbed: []audit.Scrubbed{{Secret: "STRIPE_KEY", Where: "body", Count: 2}}},
	{Kind: audit.Request, Host: "api.stripe.test", Port: 443, Swapped: []audit.Swapped{{Secret: "STRIPE_KEY", Place: "header"}, {Secret: "OTHER", Place: "body"}}},
	{Kind: audit.Refusal, Host: "evil.test", Port: 444, Code: "host_not_bound", Withheld: []audit.Withheld{{Secret: "STRIPE_KEY", Place: "header:Authorization", Reason: "STRIPE_KEY is not bound to this host"}}},
	{Kind: audit.Request, Host: "api.stripe.test", Port: 443, Withheld: []audit.Withheld{{Secret: "STRIPE_KEY", Place: "body:note", Reason: "STRIPE_KEY may not stand in the body's field \"note\""}}},
	{Kind: audit.Request, Host: "api.stripe.test", Port: 443, Withheld: []audit.Withheld{{Secret: "OTHER", Place: "body:note", Reason: "another's"}}},
}

func TestExplain(t *testing.T) {
	t.Parallel()
	t.Run("says where a secret lives, where it may go, and what was done with it", func(t *testing.T) {
		t.Parallel()
		stdout, stderr, err := explained(t, explainEvents, "STRIPE_KEY")
		if err != nil || stderr != "" {
			t.Fatalf("%v, it says %s", err, stderr)
		}
		for _, want := range []string{
			"lives      the field live of stripe in backend own (env_file)\n",
			"may go to  api.stripe.test, *.pay.test:8443\n",
			"in places  header\n",
			"a blind    program has sk_live_kz_masked_… in STRIPE_KEY\n",
			"swapped    2 × in header toward api.stripe.test, last on 2026-01-01 00:00:01\n",
			"scrubbed   2 × from the body of api.stripe.test, last on 2026-01-01 00:00:00\n",
			"withheld   1 × in header:Authorization toward evil.test:444, last on 2026-01-01 00:00:02\n" +
				"           because STRIPE_KEY is not bound to this host\n" +
				"           if it may go there: hosts = [\"api.stripe.test\", \"*.pay.test:8443\", \"evil.test:444\"]\n",
			"because STRIPE_KEY may not stand in the body's field \"note\"\n" +
				"           if it may stand there: swap = [\"header\", \"body:note\"]\n",
			"from the audit of 1 session",
		} {
			if !strings.Contains(stdout, want) {
				t.Errorf("there is no %q in\n%s", want, stdout)
			}
		}
		if strings.Contains(stdout, "another's") || strings.Contains(stdout, "OTHER") {
			t.Errorf("another secret is in\n%s", stdout)
		}
	})
	t.Run("says what a known service supplies, and that nothing was asked", func(t *testing.T) {
		t.Parallel()
		stdout, stderr, err := explained(t, explainEvents, "OPENAI_API_KEY")
		if err != nil || stderr != "" || !strings.Contains(stdout, "may go to  api.openai.com") || !strings.Contains(stdout, "the file gives no hosts") ||
			!strings.Contains(stdout, "It is in no request that the audit has (1 session).") {
			t.Errorf("%v, it says %s and prints\n%s", err, stderr, stdout)
		}
		stdout, _, err = explained(t, nil, "LEFT_OUT")
		if err != nil || !strings.Contains(stdout, "program has no LEFT_OUT") || !strings.Contains(stdout, "no host: nothing is swapped") || !strings.Contains(stdout, "There is no audit yet.") {
			t.Errorf("%v, it prints\n%s", err, stdout)
		}
	})
	t.Run("prints the same as JSON", func(t *testing.T) {
		t.Parallel()
		stdout, _, err := explained(t, explainEvents, "STRIPE_KEY", "--json")
		var got explanation
		if err != nil || json.Unmarshal([]byte(stdout), &got) != nil {
			t.Fatalf("%v: %s", err, stdout)
		}
		if got.Name != "STRIPE_KEY" || got.Lives != (lives{"own", "env_file", "stripe", "live"}) || !slices.Equal(got.Places, []string{"header"}) ||
			len(got.History.Swapped) != 1 || got.History.Swapped[0].Count != 2 || len(got.History.Withheld) != 2 || got.History.Sessions != 1 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("does not repeat a name that may be a value", func(t *testing.T) {
		t.Parallel()
		_, stderr, err := explained(t, nil, "sk-canary-value")
		if exitCode(err) != exitMisuse || strings.Contains(stderr, "canary") || !strings.Contains(stderr, "the configured secrets are STRIPE_KEY") {
			t.Errorf("%v: %s", err, stderr)
		}
	})
	t.Run("is bounded, whatever hosts a program names", func(t *testing.T) {
		t.Parallel()
		var events []audit.Event
		for i := range 3 * maxTold {
			events = append(events, audit.Event{Kind: audit.Refusal, Host: "h" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ".test", Port: 443,
				Withheld: []audit.Withheld{{Secret: "STRIPE_KEY", Place: "header", Reason: "no"}}})
		}
		stdout, _, err := explained(t, events, "STRIPE_KEY", "--json")
		var got explanation
		if err != nil || json.Unmarshal([]byte(stdout), &got) != nil || len(got.History.Withheld) > maxTold+1 {
			t.Errorf("%v, %d entries", err, len(got.History.Withheld))
		}
	})
}
