package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"kz/test/bed"
)

// TestSoak has 200 clients, each with a secret of its own, send 10,000 requests at the same time. No answer is another's, no
// value is with another's request, and once they are gone kz holds no descriptor more than before them.
func TestSoak(t *testing.T) {
	const clients, requests = 200, 50
	b := bed.New(t)
	for i := range clients {
		name := fmt.Sprintf("KEY_%d", i)
		b.Origin.SetValue(name, []byte(b.Secret(name, `hosts = ["api.test"]`)))
	}
	p := b.StartProxy()
	c := &child{Process: p.Process, env: variables(p.Env)}
	before := descriptors(t, p.Pid)
	began := time.Now()
	var group errgroup.Group
	for i := range clients {
		client := c.client(t, i%2 == 0)
		group.Go(func() error {
			defer client.CloseIdleConnections()
			name := fmt.Sprintf("KEY_%d", i)
			for j := range requests {
				if err := askMine(client, name, c.env[name], fmt.Sprintf("%d of %d", j, i), i%2 == 0); err != nil {
					return fmt.Errorf("client %d, request %d: %w", i, j, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("it took %s; %d connections went to the origin", time.Since(began).Round(time.Millisecond), b.Origin.Stats().Connections)
	// Eventually waits for 30 seconds.
	during := descriptors(t, p.Pid)
	began = time.Now()
	bed.Eventually(t, fmt.Sprintf("kz has its %d descriptors from before", before), func() bool { return descriptors(t, p.Pid) <= before })
	t.Logf("%d descriptors before, %d when the clients left, %s until they were gone", before, during, time.Since(began).Round(time.Second))
	bed.Eventually(t, "the origin has lost its clients", func() bool { return b.Origin.Stats().Open == 0 })
	end := p.Stop()
	end.Exits(t, 0)
	b.Clean(end)

	swapped := map[string]int{}
	for _, l := range b.Audit() {
		if l.Path != "/mine" || l.Status != http.StatusOK || len(l.Swapped) != 2 || l.Swapped[0].Secret != l.Swapped[1].Secret {
			t.Fatalf("the audit has %+v", l)
		}
		swapped[l.Swapped[0].Secret]++
	}
	for i := range clients {
		if n := swapped[fmt.Sprintf("KEY_%d", i)]; n != requests {
			t.Errorf("the audit has KEY_%d in %d requests", i, n)
		}
	}
}

// askMine sends a secret in a header and in the body, with a mark, and holds the answer to be about these.
func askMine(client *http.Client, name, mask, mark string, h2 bool) error {
	body := fmt.Sprintf(`{"token":"%s","mark":"%s"}`, mask, mark)
	r, err := http.NewRequest("POST", "https://api.test/mine?value="+name, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+mask)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || (resp.ProtoMajor == 2) != h2 {
		return fmt.Errorf("%s %s: %s: %w", resp.Proto, resp.Status, text, err)
	}
	var got struct{ Bearer, Token, Mark string }
	if err := json.Unmarshal(text, &got); err != nil {
		return err
	}
	if got.Bearer != "Bearer "+mask || got.Token != mask || got.Mark != mark || resp.Header.Get("X-Mark") != mark {
		return fmt.Errorf("the answer of another: %s", text)
	}
	return nil
}

// descriptors is how many files a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
