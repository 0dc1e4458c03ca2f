package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kz/proxy/audit"
)

func TestAuditTable(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lines := []auditLine{
		{Event: audit.Event{Session: "s1", Time: at, Kind: audit.Request, Method: "POST", Path: "/v1/" + strings.Repeat("long/", 40), Host: "api.stripe.test", Port: 443, Status: 200,
			Swapped: []audit.Swapped{{Secret: "STRIPE_KEY", Place: "header"}}}},
		{Event: audit.Event{Session: "s2", Time: at, Kind: audit.Refusal, Method: "GET", Path: "/", Host: strings.Repeat("evil.", 40) + "test", Port: 444, Status: 403, Code: "host_not_bound",
			Withheld: []audit.Withheld{{Secret: "STRIPE_KEY", Place: "header:Authorization", Reason: "…"}}}},
		{Event: audit.Event{Session: "s1", Time: at, Kind: audit.Tunnel, Host: "docs.test", Port: 443}},
		{Event: audit.Event{Session: "s1", Time: at, Kind: audit.Request, Method: "GET", Path: "/\x1b[2J\nkz: ok", Host: "api.stripe.test", Port: 443, Status: 200}},
	}
	table := func(width int, colour bool) string {
		tab := &auditTable{columns: func() int { return width }, colour: colour, zone: time.UTC, seen: map[string]bool{}}
		p := &auditPrinter{w: new(bytes.Buffer), table: tab}
		for _, l := range lines {
			if err := p.print("/state/audit/a.jsonl", l); err != nil {
				t.Fatal(err)
			}
		}
		return p.w.(*bytes.Buffer).String()
	}
	t.Run("is never wider than the terminal", func(t *testing.T) {
		t.Parallel()
		for _, width := range []int{60, 80, 132, 250} {
			for line := range strings.Lines(table(width, false)) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%d columns on a terminal of %d: %s", n, width, line)
				}
			}
		}
	})
	t.Run("says what was done, once a session and once a request", func(t *testing.T) {
		t.Parallel()
		got := table(132, false)
		if n := strings.Count(got, "\n"); n != 1+2+4 {
			t.Errorf("%d lines", n)
		}
		for _, want := range []string{"TIME      STATUS  HOST", "03:04:05  200     api.stripe.test", "STRIPE_KEY header\n", "withheld STRIPE_KEY", "not looked into\n", "session s2, 2026-01-02, /state/audit/a.jsonl\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("there is no %q in\n%s", want, got)
			}
		}
	})
	t.Run("has colours only where they are wanted, and none of a program's", func(t *testing.T) {
		t.Parallel()
		if got := table(80, false); strings.Contains(got, "\x1b") {
			t.Errorf("an escape is in %q", got)
		}
		if got := table(80, true); !strings.Contains(got, red+"03:04:05  403") || strings.Contains(got, "\x1b[2J") {
			t.Errorf("got %q", got)
		}
	})
}
