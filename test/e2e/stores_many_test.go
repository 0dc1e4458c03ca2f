package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// slowdown stands before a store and takes its time for each call.
type slowdown struct {
	url string

	mu        sync.Mutex
	now, most int
	calls     int
}

func slow(t *testing.T, store string, by time.Duration) *slowdown {
	t.Helper()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	s := &slowdown{}
	// The host stays as it was asked for: a signature covers it.
	next := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls++
		s.now++
		s.most = max(s.most, s.now)
		s.mu.Unlock()
		time.Sleep(by) // what a store on the network takes
		s.mu.Lock()
		s.now-- // before the answer: the next call may come right after it
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// manyStores lays four backends with n secrets each; Vault and AWS answer after a while.
func manyStores(t *testing.T, b *bed.Bed, n int, by time.Duration) (v, a *slowdown) {
	t.Helper()
	core, cloud := bed.NewVault(t), bed.NewAWS(t, awsfake.Options{})
	v, a = slow(t, core.Addr, by), slow(t, cloud.URL, by)
	b.Env = append(b.Env, "VAULT_TOKEN="+core.Token)
	for _, kv := range cloud.Env() {
		b.Env = append(b.Env, strings.ReplaceAll(kv, cloud.URL, a.url))
	}
	b.Backend("vault", `type = "hashicorp_vault"`, `address = "`+v.url+`"`)
	b.Backend("aws", `type = "aws_secrets_manager"`, `region = "us-east-1"`)
	b.Backend("more", `type = "env_file"`, `path = "`+b.Path("store/more.env")+`"`)
	var more strings.Builder
	for i := range n {
		value := func() string { return canary.Value("k-") }
		b.Secret(fmt.Sprintf("LOCAL_%d", i), bound)
		of := value()
		core.Put(fmt.Sprintf("secret/s%d", i), map[string]any{"value": of})
		b.Reference(fmt.Sprintf("VAULT_%d", i), of, `backend = "vault"`, fmt.Sprintf(`path = "secret/s%d"`, i), bound)
		of = value()
		cloud.Put(fmt.Sprintf("prod/s%d", i), of)
		b.Reference(fmt.Sprintf("AWS_%d", i), of, `backend = "aws"`, fmt.Sprintf(`secret_id = "prod/s%d"`, i), bound)
		of = value()
		fmt.Fprintf(&more, "S%d='%s'\n", i, of)
		b.Reference(fmt.Sprintf("MORE_%d", i), of, `backend = "more"`, fmt.Sprintf(`name = "S%d"`, i), bound)
	}
	if err := os.WriteFile(b.Path("store/more.env"), []byte(more.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return v, a
}

func TestTwoHundredSecretsOverFourStores(t *testing.T) {
	t.Parallel()
	const each, by = 50, 200 * time.Millisecond
	b := bed.New(t)
	v, a := manyStores(t, b, each, by)
	began := time.Now()
	res := b.Run(shell(`env | grep -c '=kz_masked_'`)...)
	took := time.Since(began)
	res.Succeeds(t)
	if got := strings.TrimSpace(string(res.Stdout)); got != fmt.Sprint(4*each) {
		t.Errorf("%s masks", got)
	}
	b.Clean(res)
	// Vault: its 50 secrets by eight, and what it asks before the first. AWS: three calls at once.
	slowest := by * ((each + 7) / 8)
	oneByOne := 2 * each * by
	t.Logf("the start with %d secrets took %v; the slowest store needs %v, one by one it would be %v; Vault: %d calls, %d at a time; AWS: %d calls, %d at a time",
		4*each, took.Round(time.Millisecond), slowest, oneByOne, v.calls, v.most, a.calls, a.most)
	if took > oneByOne/2 {
		t.Errorf("it took %v", took)
	}
	if v.most < 2 || v.most > 9 { // eight secrets, and the login's own call
		t.Errorf("%d calls of Vault at a time", v.most)
	}
	if a.calls > 6 {
		t.Errorf("%d calls of AWS for %d secrets", a.calls, each)
	}
}

func TestOneStoreThatFailsAtTheStart(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	manyStores(t, b, 2, 0)
	b.Backend("away", `type = "hashicorp_vault"`, `address = "http://`+closed(t)+`"`)
	b.Reference("AWAY_1", "", `backend = "away"`, `path = "secret/a"`, bound)
	b.Reference("AWAY_2", "", `backend = "away"`, `path = "secret/b"`, bound)
	b.Reference("GONE", "", `backend = "aws"`, `secret_id = "prod/none"`, bound)
	res := b.Run("/bin/true")
	res.Exits(t, 125)
	for _, want := range []string{"resolving AWAY_1, AWAY_2: away: unavailable", "GONE: aws: not found", "kz: hint: "} {
		if !strings.Contains(string(res.Stderr), want) {
			t.Errorf("it does not say %q:\n%s", want, res.Stderr)
		}
	}
	for _, other := range []string{"VAULT_0", "AWS_0", "LOCAL_0", "MORE_1"} {
		if strings.Contains(string(res.Stderr), other) {
			t.Errorf("it names %s, which was there:\n%s", other, res.Stderr)
		}
	}
	b.Clean(res)
}

// closed is an address at which nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAnInterruptEndsASlowStart(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", "--blind"}, {"run"}, {"proxy"}, {"status"}} {
		t.Run("of kz "+strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			asked, over := make(chan struct{}, 100), make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				select { // the store thinks
				case <-over:
				case <-r.Context().Done():
				}
			}))
			t.Cleanup(srv.Close)
			defer close(over)
			b.Env = append(b.Env, "VAULT_TOKEN=root")
			b.Backend("vault", `type = "hashicorp_vault"`, `address = "`+srv.URL+`"`)
			for i := range 20 {
				b.Reference(fmt.Sprintf("KEY_%d", i), "", `backend = "vault"`, fmt.Sprintf(`path = "secret/s%d"`, i), bound)
			}
			args = append(args, "--config", b.WriteBundle())
			if args[0] == "run" {
				args = append(args, "--", "/bin/true")
			}
			p := b.StartKZ(args...)
			<-asked
			began := time.Now()
			if err := p.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			res := p.Wait()
			took := time.Since(began)
			t.Logf("it ended after %v", took.Round(time.Millisecond))
			if took > 15*time.Second {
				t.Error("that is not at once")
			}
			if res.Code != 130 || !strings.Contains(string(res.Stderr), "interrupted") || strings.Contains(string(res.Stderr), "KEY_") {
				t.Errorf("exit code %d: %s", res.Code, res.Stderr)
			}
			if left := entries(t, b.Path("home/tmp")); len(left) > 0 {
				t.Errorf("it left %v behind", left)
			}
		})
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
