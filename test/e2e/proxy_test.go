package e2e_test

import (
	"net/url"
	"strings"
	"testing"

	"kz/test/bed"
)

// TestProxy has clients use `kz proxy` with what its env file says, as containers do.
func TestProxy(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	p := b.StartProxy()
	get := func(extra string) bed.Result {
		return p.Client(shell(curl + ` -sS -i ` + extra + ` -H "Authorization: Bearer $API_KEY" https://api.test/echo`)...)
	}

	res := get("")
	res.Succeeds(t)
	if got := received(t, b, "/echo"); got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Error("the origin did not get the value")
	}
	if !mask.Match(res.Stdout) {
		t.Errorf("the echo does not come back masked:\n%s", res.Stdout)
	}

	u, err := url.Parse(p.Get("HTTPS_PROXY"))
	if err != nil || u.User == nil {
		t.Fatalf("HTTPS_PROXY has no credential: %v", err)
	}
	b.Origin.Reset()
	for name, proxy := range map[string]string{"no credential": "http://" + u.Host, "a wrong one": "http://" + u.User.Username() + ":wrong@" + u.Host} {
		refused := get("-x " + proxy)
		if refused.Code == 0 || !strings.Contains(refused.Output(), "407") {
			t.Errorf("with %s: %s", name, refused.Output())
		}
	}
	if n := len(b.Origin.Requests()); n != 0 {
		t.Errorf("the origin got %d requests without a credential", n)
	}

	end := p.Stop()
	end.Exits(t, 0)
	b.Clean(res, end)
}
