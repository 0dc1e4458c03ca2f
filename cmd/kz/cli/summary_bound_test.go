package cli

import (
	"fmt"
	"testing"

	"kz/proxy/audit"
)

func TestASummaryOfEndlessHostsIsBounded(t *testing.T) {
	t.Parallel()
	c := &tally{next: &audit.Memory{}}
	for i := range 20_000 {
		host := fmt.Sprintf("h%d.test", i)
		for _, e := range []audit.Event{
			{Kind: audit.Tunnel, Host: host},
			{Kind: audit.Refusal, Host: host, Code: "egress_denied"},
			{Kind: audit.Refusal, Host: host},
			{Kind: audit.Request, Host: host, Swapped: []audit.Swapped{{Secret: "KEY", Place: "header"}}},
			{Kind: audit.Request, Host: "api.test", Withheld: []audit.Withheld{{Secret: "KEY", Place: fmt.Sprintf("header:X-%d", i)}}},
		} {
			c.count(e)
		}
	}
	for name, n := range map[string]int{
		"tunnels": len(c.tunnels), "refused": len(c.refused), "distrust": len(c.distrust), "swapped": len(c.swapped["KEY"]), "withheld": len(c.withheld),
	} {
		if n == 0 || n > maxTold+1 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
	if n := c.swapped["KEY"][others]; n != 20_000-maxTold {
		t.Errorf("%d are counted together", n)
	}
}

func TestTheTotalsOfASession(t *testing.T) {
	t.Parallel()
	var n totals
	if got := n.String(); got != "0 requests" {
		t.Errorf("of nothing: %q", got)
	}
	swapped, withheld := []audit.Swapped{{Secret: "A", Place: "header"}, {Secret: "B", Place: "body"}}, []audit.Withheld{{Secret: "A", Place: "body"}}
	for _, e := range []audit.Event{
		{Kind: audit.Request, Swapped: swapped, Scrubbed: []audit.Scrubbed{{Secret: "A", Count: 3}, {Secret: "B", Count: 4}}},
		{Kind: audit.Request, Withheld: withheld},
		{Kind: audit.Refusal, Code: "host_not_bound", Withheld: withheld},
		{Kind: audit.Refusal}, // a client that ended its handshake
		{Kind: audit.Tunnel},
	} {
		n.add(e)
	}
	if got, want := n.String(), "3 requests: 2 swapped, 2 withheld, 7 scrubbed, 1 refused; 1 tunnel"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
