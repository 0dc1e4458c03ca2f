package e2e_test

import (
	"strings"
	"testing"

	"kz/test/bed"
)

// TestAClientThatDoesNotTrust has clients that trust the upstream and not kz. They fail, however often they try: a bound host is never
// tunnelled. At the end kz says which host it was and which variables name its authority.
func TestAClientThatDoesNotTrust(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"permissive", "strict"} {
		t.Run("egress is "+mode, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Egress(`mode = "` + mode + `"`)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			curl := bed.Program(t, "curl") + ` -sS --max-time 20 --cacert ` + b.Path("etc/ca.pem") + ` -H "Authorization: Bearer $API_KEY" `
			res := b.Run(shell(`for v in --http1.1 --http2 --tlsv1.3 "--tls-max 1.2" --http1.1; do ` + curl + ` $v https://api.test/x; echo code $?; done`)...)
			res.Succeeds(t)
			if n := strings.Count(string(res.Stdout), "code 60\n"); n != 5 || strings.Contains(string(res.Stdout), "code 0\n") {
				t.Errorf("curl ended otherwise than by distrust:\n%s%s", res.Stdout, res.Stderr)
			}
			if s := b.Origin.Stats(); s.Connections != 0 {
				t.Errorf("the upstream saw %+v: the host was tunnelled", s)
			}
			for _, l := range b.Audit() {
				if l.Kind != "refusal" || l.Host != "api.test" || len(l.Swapped) > 0 {
					t.Errorf("the audit says %+v", l)
				}
			}
			for _, want := range []string{"kz: warning: ", "api.test", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} {
				if !strings.Contains(string(res.Stderr), want) {
					t.Errorf("kz does not say %q:\n%s", want, res.Stderr)
				}
			}
			b.Clean(res)
		})
	}
}

// TestAClientThatSaysNotThatItDoesNotTrust has clients on GnuTLS, which send no alert: wget and git judge the certificate after the
// handshake and go. It is told like the alert of others, and their retries are no requests.
func TestAClientThatSaysNotThatItDoesNotTrust(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test", "git.test"]`)
	res := b.Run("/bin/sh", "-c", `"$0" -qO- --ca-certificate=`+b.Path("etc/ca.pem")+` --header="Authorization: Bearer $API_KEY" https://api.test/x; echo wget $?
	GIT_SSL_CAINFO=`+b.Path("etc/ca.pem")+` GIT_TERMINAL_PROMPT=0 "$1" ls-remote https://git.test/repo.git; echo git $?`, bed.Program(t, "wget"), bed.Program(t, "git"))
	res.Succeeds(t)
	if string(res.Stdout) != "wget 5\ngit 128\n" {
		t.Errorf("they ended otherwise than by distrust:\n%s%s", res.Stdout, res.Stderr)
	}
	if s := b.Origin.Stats(); s.Connections != 0 {
		t.Errorf("the upstream saw %+v", s)
	}
	for _, host := range []string{"api.test", "git.test"} {
		n := 0
		for _, l := range b.Audit() {
			if l.Host == host && l.Kind == "refusal" && l.Code == "" && strings.HasPrefix(l.Reason, "the client went away") && strings.HasSuffix(l.Reason, "it may not trust the authority of kz") {
				n++
			}
		}
		if n != 1 || !strings.Contains(string(res.Stderr), "kz: warning: a client ended its TLS connection to "+host) {
			t.Errorf("%s: %d lines of the audit; kz says\n%s", host, n, res.Stderr)
		}
	}
	b.Clean(res)
}
