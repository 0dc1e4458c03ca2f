package e2e_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"kz/test/bed"
)

// told is a version that a program tells.
func told(program string, args ...string) func(t *testing.T) []string {
	return func(t *testing.T) []string { return append([]string{bed.Program(t, program)}, args...) }
}

// script is a call by way of sh: $0 is the program.
func script(program, text string) func(t *testing.T, c *attempt) []string {
	return func(t *testing.T, _ *attempt) []string {
		return []string{"/bin/sh", "-ec", text, bed.Program(t, program)}
	}
}

// toolRows are programs of the command line, and languages with no place of their own.
func toolRows() []row {
	return []row{
		{client: "curl", version: told("curl", "--version"), call: script("curl", `"$0" -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)},
		{client: "wget", version: told("wget", "--version"), call: script("wget", `"$0" -qO- --header="Authorization: Bearer $API_KEY" https://api.test/echo`)},
		{
			client: "Go", version: func(*testing.T) []string { return []string{"/bin/echo", runtime.Version()} },
			call: func(t *testing.T, _ *attempt) []string { return []string{bed.Self(t), "@get", "https://api.test/echo"} },
		},
	}
}

// packageRows are package managers, each with a small index of its own.
func packageRows() []row { return nil }

// TestWgetKeepsItsSettings has a user whose own file says something harmless, and what would leave kz out.
func TestWgetKeepsItsSettings(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	const own = "user_agent = of-the-user\nca_certificate = /dev/null\ncheck_certificate = off\nuse_proxy = off\n"
	if err := os.WriteFile(b.Path("home/.wgetrc"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	res := b.Run("/bin/sh", "-ec", `"$0" -qO- --header="Authorization: Bearer $API_KEY" https://api.test/echo; grep -c user_agent "$WGETRC" || true`, bed.Program(t, "wget"))
	res.Succeeds(t)
	b.Clean(res)
	got := received(t, b, "/echo")[0].Header
	if got.Get("User-Agent") != "of-the-user" || got.Get("Authorization") != "Bearer "+value {
		t.Errorf("the origin got the agent %q", got.Get("User-Agent"))
	}
	if !strings.HasSuffix(string(res.Stdout), "\n0\n") {
		t.Errorf("kz has copied the user's settings:\n%s", res.Stdout)
	}
}
