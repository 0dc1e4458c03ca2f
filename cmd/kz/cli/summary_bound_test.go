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
