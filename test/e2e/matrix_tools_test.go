package e2e_test

import (
	"kz/test/origin"
	"net/http"
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

// program is a call of a program with arguments.
func program(name string, args ...string) func(t *testing.T, c *attempt) []string {
	return func(t *testing.T, _ *attempt) []string { return append([]string{bed.Program(t, name)}, args...) }
}

// toolRows are programs of the command line, and languages with no place of their own.
func toolRows() []row {
	return []row{
		{client: "curl", version: told("curl", "--version"), call: script("curl", `"$0" -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)},
		{client: "wget", version: told("wget", "--version"), call: script("wget", `"$0" -qO- --header="Authorization: Bearer $API_KEY" https://api.test/echo`)},
		{
			client: "HTTPie", version: told("http", "--version"),
			call: script("http", `"$0" --ignore-stdin --body https://api.test/echo "Authorization:Bearer $API_KEY"`),
		},
		{
			client: "git (clone, push)", version: told("git", "--version"), call: gitCall, sees: unseen,
			hosts: []string{"git.test"}, path: "/repo.git/git-receive-pack", secret: "GIT_TOKEN", carries: basicPassword,
		},
		{
			client: "gh", version: told("gh", "--version"), call: script("gh", `"$0" api /echo`), hosts: []string{"api.github.com"}, secret: "GH_TOKEN",
			carries: func(r origin.Record, value string) bool { return r.Header.Get("Authorization") == "token "+value },
		},
		{
			client: "Go net/http", version: func(*testing.T) []string { return []string{"/bin/echo", runtime.Version()} },
			call: func(t *testing.T, _ *attempt) []string { return []string{bed.Self(t), "@get", "https://api.test/echo"} },
		},
		{client: "Ruby net/http", version: told("ruby", "--version"), call: program("ruby", "-e", rubyNetHTTP)},
		{client: "Perl HTTP::Tiny", version: told("perl", "-MHTTP::Tiny", "-e", "print HTTP::Tiny->VERSION"), call: program("perl", "-e", perlTiny)},
		{
			client: "Perl LWP, env_proxy", version: told("perl", "-MLWP::UserAgent", "-MLWP::Protocol::https", "-e", "print LWP::UserAgent->VERSION"),
			call: program("perl", "-e", perlLWP),
		},
		{client: "Perl Mojolicious", version: told("perl", "-MMojolicious", "-e", "print Mojolicious->VERSION"), call: program("perl", "-e", perlMojo)},
		{client: "PHP curl", version: told("php", "--version"), call: program("php", "-r", phpCurl)},
		{
			client: "PHP streams", version: told("php", "--version"), call: program("php", "-r", phpStream),
			proxy: direct("goes direct: PHP's own streams read no proxy variable; use its curl", "getaddrinfo for api.test failed"), trust: notAsked, swap: notAsked,
		},
		{client: "reqwest", version: reqwestVersion, call: func(t *testing.T, _ *attempt) []string { return []string{bed.Reqwest(t), "https://api.test/echo"} }},
	}
}

func gitCall(t *testing.T, c *attempt) []string {
	c.Origin.SetBasic("x", c.value)
	c.Env = append(c.Env, "GIT_TERMINAL_PROMPT=0")
	return []string{"/bin/sh", "-ec", `"$0" clone -q "https://x:$GIT_TOKEN@git.test/repo.git" work
cd work
echo more >> README
"$0" -c user.name=x -c user.email=x@x.test commit -qam more
"$0" push -q origin HEAD:main`, bed.Program(t, "git")}
}

// basicPassword: the value is the password of Basic.
func basicPassword(r origin.Record, value string) bool {
	_, password, ok := (&http.Request{Header: r.Header}).BasicAuth()
	return ok && password == value
}

func reqwestVersion(t *testing.T) []string { return []string{bed.Reqwest(t), "--version"} }

const rubyNetHTTP = `
require "net/http"
answer = Net::HTTP.get_response(URI("https://api.test/echo"), {"Authorization" => "Bearer " + ENV["API_KEY"]})
puts answer.body`

const perlTiny = `
use HTTP::Tiny;
my $r = HTTP::Tiny->new(verify_SSL => 1)->get("https://api.test/echo", {headers => {Authorization => "Bearer $ENV{API_KEY}"}});
print $r->{content};
exit !$r->{success};`

const perlLWP = `
use LWP::UserAgent;
my $r = LWP::UserAgent->new(env_proxy => 1)->get("https://api.test/echo", Authorization => "Bearer $ENV{API_KEY}");
print $r->content;
exit !$r->is_success;`

const perlMojo = `
use Mojo::UserAgent;
print Mojo::UserAgent->new->get("https://api.test/echo", {Authorization => "Bearer $ENV{API_KEY}"})->result->body;`

const phpCurl = `
$c = curl_init("https://api.test/echo");
curl_setopt($c, CURLOPT_HTTPHEADER, ["Authorization: Bearer " . getenv("API_KEY")]);
if (!curl_exec($c)) { echo curl_error($c); exit(1); }`

const phpStream = `
$c = stream_context_create(["http" => ["header" => "Authorization: Bearer " . getenv("API_KEY")]]);
$answer = file_get_contents("https://api.test/echo", false, $c);
echo $answer;
exit($answer === false ? 1 : 0);`

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

// TestSettingsFilesInAContainer: the settings of wget and PHP name the roots by the path at which a container has them.
func TestSettingsFilesInAContainer(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	mounted := b.Path("home/mounted")
	if err := os.Symlink(b.Path("home/ca"), mounted); err != nil {
		t.Fatal(err)
	}
	p := b.StartProxy("--client-ca-dir", mounted)
	if p.Get("WGETRC") != mounted+"/wgetrc" || p.Get("SYSTEM_WGETRC") != "" || p.Get("PHP_INI_SCAN_DIR") != ":"+mounted {
		t.Errorf("the env file has WGETRC=%s SYSTEM_WGETRC=%s PHP_INI_SCAN_DIR=%s", p.Get("WGETRC"), p.Get("SYSTEM_WGETRC"), p.Get("PHP_INI_SCAN_DIR"))
	}
	for _, name := range []string{"wgetrc", "php.ini"} {
		text, err := os.ReadFile(b.Path("home/ca/" + name))
		if err != nil || !strings.Contains(string(text), mounted+"/bundle.pem") || strings.Contains(string(text), b.Path("home/ca")) {
			t.Errorf("%s names other roots: %v\n%s", name, err, text)
		}
	}
	wget := p.Client("/bin/sh", "-ec", `"$0" -qO- --header="Authorization: Bearer $API_KEY" https://api.test/echo`, bed.Program(t, "wget"))
	wget.Succeeds(t)
	php := p.Client(bed.Program(t, "php"), "-r", phpCurl)
	php.Succeeds(t)
	for _, got := range received(t, b, "/echo") {
		if got.Header.Get("Authorization") != "Bearer "+value {
			t.Error("the origin did not get the value")
		}
	}
	end := p.Stop()
	end.Exits(t, 0)
	b.Clean(wget, php, end)
	if left, err := os.ReadDir(b.Path("home/ca")); err != nil || len(left) != 0 {
		t.Errorf("the proxy has left %v (%v)", left, err)
	}
}
