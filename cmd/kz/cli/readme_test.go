package cli

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheREADMENamesClientsThatWork holds what the README says of clients to the table of `kz help runtimes`, which is held
// to what is tried.
func TestTheREADMENamesClientsThatWork(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(string(readme), "have their masks swapped:")
	said, _, found := strings.Cut(said, "boto3 and the")
	if !found {
		t.Fatal("the README does not say which clients work")
	}
	rows := map[string]string{ // what the README says, and a row for it
		"curl": "curl", "wget": "wget", "git": "git (clone, push)", "gh": "gh", "Go": "Go net/http", "urllib": "Python urllib", "requests": "requests",
		"httpx": "httpx", "aiohttp with `trust_env`": "aiohttp, trust_env=True", "pip": "pip", "fetch": "Node VERSIONS: fetch",
		"https": "Node VERSIONS: https", "undici": "Node VERSIONS: undici 8", "axios": "Node VERSIONS: axios",
		"http2": "Node VERSIONS: http2", "got": "Node VERSIONS: got", "ws": "Node VERSIONS: ws",
		"the SDKs of OpenAI and Anthropic": "Node VERSIONS: openai", "bun": "bun: fetch", "deno": "deno: fetch", "npm": "npm", "pnpm": "pnpm", "yarn": "yarn", "composer": "composer", "Ruby": "Ruby net/http",
		"Perl": "Perl LWP, env_proxy", "PHP's curl": "PHP curl", "Rust's reqwest": "reqwest", "cargo": "cargo", "Java's two clients": "JavaVERSIONS HttpURLConnection", "Maven": "Maven",
	}
	left := strings.Join(strings.Fields(said), " ")
	for name, row := range rows {
		if !strings.Contains(strings.Join(strings.Fields(said), " "), name) {
			t.Errorf("the README no longer names %s", name)
		}
		if !regexp.MustCompile(`(?m)^  ` + strings.ReplaceAll(regexp.QuoteMeta(row), "VERSIONS", "[0-9.,: ]*") + ` +ok +ok +ok *$`).MatchString(textOf(t, "runtimes")) {
			t.Errorf("the README says that %s works, and `kz help runtimes` has no row %q with ok in each column", name, row)
		}
	}
	longestFirst := slices.SortedFunc(maps.Keys(rows), func(a, b string) int { return len(b) - len(a) })
	for _, name := range longestFirst {
		left = regexp.MustCompile(`(^|[ (])`+regexp.QuoteMeta(name)+`([,.) ]|$)`).ReplaceAllString(left, "$1$2")
	}
	for _, w := range []string{"Python", "Node.js 20, 22 and 24", "and"} {
		left = strings.ReplaceAll(left, w, "")
	}
	if left = strings.Trim(left, " ,.()"); regexp.MustCompile(`[A-Za-z]`).MatchString(left) {
		t.Errorf("of these clients no row is named here: %s", left)
	}
}
