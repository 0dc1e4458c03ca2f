package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

// bareProxy has P be the proxy without its credential, and nothing else say what it is.
const bareProxy = `P=http://${HTTPS_PROXY#*@}
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy ALL_PROXY all_proxy
`

// TestAProcessOfTheRunNeedsNoCredential: TestCredential has what becomes of other processes of the user.
func TestAProcessOfTheRunNeedsNoCredential(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	call := curl + ` -sS -x $P -H "Authorization: Bearer $API_KEY" https://api.test/echo`
	const status = ` -s -o /dev/null -w %{http_connect} https://api.test/echo; true`
	for _, tt := range []struct{ name, script, want string }{
		{"a child is let in", call, "HTTP/"},
		{"one that has left its session and lost its parents is, too", `export P API_KEY
sh -c 'p=$$; setsid sh -c "while [ -e /proc/$p ]; do sleep 0.01; done; ` + strings.ReplaceAll(strings.ReplaceAll(call, `"`, `\"`), "$", `\$`) + ` >out.new; mv out.new out" &'
n=0; while [ ! -e out ] && [ $n -lt 1000 ]; do n=$((n+1)); sleep 0.01; done; cat out`, "HTTP/"},
		{"one that a sandbox hides from the others is, too", `export P; ` + bed.Program(t, "unshare") + ` --user --map-current-user --pid --fork --mount-proc ` + call, "HTTP/"},
		{"one with a wrong credential is not", curl + ` -x "http://kz:no@${P#http://}"` + status, "407"},
		{"one that is another user is not", bed.Program(t, "setpriv") + ` --reuid 65534 --clear-groups ` + curl + ` -x $P` + status, "407"},
	} {
		if strings.Contains(tt.script, "setpriv") && os.Geteuid() != 0 {
			continue // only root can be another
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			value := b.Secret("API_KEY", `hosts = ["api.test"]`)
			res := b.Run(shell(bareProxy + tt.script)...)
			res.Succeeds(t)
			b.Clean(res)
			if tt.want == "407" {
				if string(res.Stdout) != tt.want || b.Origin.Stats().Connections != 0 {
					t.Errorf("got %s, and the origin %+v", res.Stdout, b.Origin.Stats())
				}
				return
			}
			if got := received(t, b, "/echo"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value || !mask.Match(res.Stdout) {
				t.Errorf("the origin got %d requests; the client saw\n%s", len(got), res.Stdout)
			}
		})
	}
}

const javaThree = `
import java.net.*;
class Call {
  public static void main(String[] args) {
    for (String url : args) {
      try {
        var c = (HttpURLConnection) URI.create(url).toURL().openConnection();
        System.out.println(c.getResponseCode() + " " + url);
      } catch (Exception e) {
        System.out.println(e.getMessage() + " " + url);
      }
    }
  }
}`

func TestWhereAJVMGoes(t *testing.T) {
	t.Parallel()
	jvm := java(t)
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "local") }))
	t.Cleanup(local.Close)
	urls := []string{"https://api.test/echo", "http://api.test/plain", local.URL + "/"}
	lay := func(t *testing.T) (*bed.Bed, []string) {
		b := bed.New(t)
		b.Secret("API_KEY", `hosts = ["api.test"]`)
		if err := os.WriteFile(b.Path("home/Call.java"), []byte(javaThree), 0o600); err != nil {
			t.Fatal(err)
		}
		return b, append([]string{jvm, b.Path("home/Call.java")}, urls...)
	}
	t.Run("under kz run, all of it by the proxy but for loopback, and its options are printed without the credential", func(t *testing.T) {
		t.Parallel()
		b, argv := lay(t)
		res := b.Run(append([]string{"/bin/sh", "-c", `"$@"; echo "$HTTPS_PROXY" >proxy`, "sh"}, argv...)...)
		res.Succeeds(t)
		if want := "200 " + strings.Join(urls, "\n200 ") + "\n"; string(res.Stdout) != want {
			t.Errorf("it says\n%s", res.Stdout)
		}
		var hosts []string
		for _, l := range b.Audit() {
			hosts = append(hosts, l.Host)
		}
		if want := []string{"api.test", "api.test"}; !slices.Equal(hosts, want) {
			t.Errorf("by the proxy went %q", hosts)
		}
		proxy, err := os.ReadFile(b.Path("home/proxy"))
		_, rest, _ := strings.Cut(string(proxy), "kz:")
		credential, _, found := strings.Cut(rest, "@")
		if err != nil || !found || !strings.Contains(string(res.Stderr), "Picked up JAVA_TOOL_OPTIONS") || strings.Contains(res.Output(), credential) {
			t.Errorf("%v; it prints\n%s", err, res.Stderr)
		}
		b.Clean(res)
	})
	t.Run("of kz proxy, which knows none of its clients, it is asked for the credential", func(t *testing.T) {
		t.Parallel()
		b, argv := lay(t)
		p := b.StartProxy()
		res := p.Client(argv...)
		if !strings.Contains(string(res.Stdout), "407") || !strings.Contains(string(res.Stdout), "200 "+local.URL) || b.Origin.Stats().Connections != 0 {
			t.Errorf("it says\n%s", res.Output())
		}
		b.Clean(res, p.Stop())
	})
}

// TestMavenBesideKzProxy: it is a JVM that can be given the credential, as its own setting.
func TestMavenBesideKzProxy(t *testing.T) {
	t.Parallel()
	c := newAttempt(t, row{client: "Maven", path: mavenPOM})
	argv := mavenCall(t, c)
	p := c.StartProxy()
	proxy, err := url.Parse(p.Get("HTTPS_PROXY"))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := proxy.User.Password()
	c.write(t, "settings.xml", fmt.Sprintf(mavenSettings, `<proxies><proxy><id>kz</id><protocol>https</protocol><host>`+proxy.Hostname()+`</host><port>`+proxy.Port()+
		`</port><username>kz</username><password>`+password+`</password></proxy></proxies>`))
	res := p.Client(argv...)
	if arrived := c.arrived(); res.Code != 0 || len(arrived) == 0 || !basicPassword(arrived[len(arrived)-1], c.value) {
		t.Errorf("exit code %d, %d requests arrived:\n%s", res.Code, len(arrived), res.Output())
	}
	c.Clean(res, p.Stop())
}
