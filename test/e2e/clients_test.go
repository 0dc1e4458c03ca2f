package e2e_test

import (
	"os"
	"strings"
	"testing"

	"kz/test/bed"
)

const pythonRequests = `
import os, requests
print(requests.get("https://api.test/echo", headers={"Authorization": "Bearer " + os.environ["API_KEY"]}).text)`

const pythonHTTPX = `
import os, httpx
print(httpx.get("https://api.test/echo", headers={"Authorization": "Bearer " + os.environ["API_KEY"]}).text)`

const pythonHTTPX2 = `
import os, httpx
with httpx.Client(http2=True) as c:
    r = c.get("https://api.test/echo", headers={"Authorization": "Bearer " + os.environ["API_KEY"]})
    print(r.http_version, r.text)`

const pythonURLLib = `
import os, urllib.request
r = urllib.request.Request("https://api.test/echo", headers={"Authorization": "Bearer " + os.environ["API_KEY"]})
print(urllib.request.urlopen(r).read().decode())`

const nodeFetch = `
fetch("https://api.test/echo", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .then(r => r.text()).then(console.log).catch(e => { console.error(e); process.exit(1) })`

// TestClients sends one bearer token from each client, and looks at all its ends.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		argv func(t *testing.T) []string
	}{
		{"curl", func(t *testing.T) []string {
			return shell(bed.Program(t, "curl") + ` -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)
		}},
		{"curl over HTTP/1.1", func(t *testing.T) []string {
			return shell(bed.Program(t, "curl") + ` --http1.1 -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)
		}},
		{"Python requests", func(t *testing.T) []string { return []string{bed.Python(t, "requests"), "-c", pythonRequests} }},
		{"Python httpx", func(t *testing.T) []string { return []string{bed.Python(t, "httpx"), "-c", pythonHTTPX} }},
		{"Python httpx over h2", func(t *testing.T) []string { return []string{bed.Python(t, "httpx", "h2"), "-c", pythonHTTPX2} }},
		{"Python urllib", func(t *testing.T) []string { return []string{bed.Python(t), "-c", pythonURLLib} }},
		{"Node fetch", func(t *testing.T) []string { return []string{bed.Node(t), "-e", nodeFetch} }},
		{"a Go program", func(t *testing.T) []string { return []string{bed.Self(t), "@get", "https://api.test/echo"} }},
	} {
		t.Run(c.name+" sends the value and sees the mask", func(t *testing.T) {
			t.Parallel()
			argv := c.argv(t)
			b := bed.New(t)
			value := b.Secret("API_KEY", `hosts = ["api.test"]`)
			res := b.Run(argv...)
			res.Succeeds(t)

			got := received(t, b, "/echo")
			if len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
				t.Errorf("the origin got %d requests, not one with the value", len(got))
			}
			if got[0].SNI != "api.test" || got[0].Host != "api.test" {
				t.Errorf("the origin was asked for %q, by TLS for %q", got[0].Host, got[0].SNI)
			}
			if !mask.MatchString(field(string(res.Stdout), "Authorization")) {
				t.Errorf("the echo does not come back masked:\n%s", res.Stdout)
			}
			for name := range got[0].Header {
				if strings.HasPrefix(name, "Proxy-") {
					t.Errorf("the origin got the header %s", name)
				}
			}
			line := audited(t, b, "api.test", "/echo")
			if line.Kind != "request" || line.Status != 200 || len(line.Swapped) != 1 || line.Swapped[0].Secret != "API_KEY" || len(line.Scrubbed) == 0 {
				t.Errorf("the audit says %+v", line)
			}
			b.Clean(res)
		})
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	git := bed.Program(t, "git")
	b := bed.New(t)
	value := b.Secret("GIT_TOKEN", `hosts = ["git.test"]`)
	b.Origin.SetBasic("x", value)
	// The commit's author is given by the environment: HOME has no configuration.
	b.Env = append(b.Env, "GIT_TERMINAL_PROMPT=0")
	res := b.Run(shell(`set -e
` + git + ` clone -q "https://x:$GIT_TOKEN@git.test/repo.git" work
cd work
echo more >> README
` + git + ` -c user.name=x -c user.email=x@x.test commit -qam more
` + git + ` push -q origin HEAD:main
` + git + ` log --oneline | wc -l`)...)
	res.Succeeds(t)
	if strings.TrimSpace(string(res.Stdout)) != "2" {
		t.Errorf("commits: %s", res.Stdout)
	}
	config, err := os.ReadFile(b.Path("home/work/.git/config"))
	if err != nil || !mask.Match(config) {
		t.Errorf("the clone's URL has no mask: %v\n%s", err, config)
	}
	b.Clean(res)

	b.Origin.SetBasic("x", "another")
	res = b.Run(shell(git + ` clone -q "https://x:$GIT_TOKEN@git.test/repo.git" again`)...)
	if res.Code == 0 {
		t.Error("the origin took a wrong password: it does not check")
	}
	b.Clean(res)
}
