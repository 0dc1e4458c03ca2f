package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"kz/ca"
	"kz/resolver/resolvertest/awsfake"
	"kz/resolver/resolvertest/azurefake"
	"kz/resolver/resolvertest/gcpfake"
	"kz/test/bed"
	"kz/test/canary"
)

// crossCloudBundle is three clouds, as users of such tools write it: the addresses are the real ones.
const crossCloudBundle = `# Three clouds, no mode, ` + "`path`" + ` for all but AWS.
backends:
  aws:
    type: aws_secrets_manager
    region: us-east-1
  gcp:
    type: gcp_secret_manager
    project: my-gcp-project
  vault:
    type: hashicorp_vault
    address: https://vault.internal
resolvers:
  - name: aws-api-key
    backend: aws
    secret_id: prod/api-key
    field: key
  - name: gcp-service-key
    backend: gcp
    path: service-account-key
  - name: vault-db-pass
    backend: vault
    path: secret/data/db
    field: password
`

// internet is a proxy behind which each host, whatever its name, is a handler of the test, over TLS with a CA of its own.
type internet struct {
	bed           *bed.Bed
	proxy, caFile string

	mu    sync.Mutex
	hosts map[string]http.Handler
	asked map[string]int
}

func newInternet(t *testing.T, b *bed.Bed) *internet {
	t.Helper()
	n := &internet{bed: b, hosts: map[string]http.Handler{}, asked: map[string]int{}, caFile: b.Path("etc/internet.pem")}
	authority, err := ca.New(ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	minter, err := ca.NewMinter(authority, ca.MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.caFile, authority.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	inner := httptest.NewUnstartedServer(n)
	inner.EnableHTTP2 = true
	inner.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return minter.Leaf(h.ServerName) }}
	inner.Config.ErrorLog = log.New(io.Discard, "", 0)
	inner.StartTLS()
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tunnelTo(w, r, inner.Listener.Addr().String()) }))
	t.Cleanup(func() {
		outer.CloseClientConnections()
		outer.Close()
		inner.CloseClientConnections()
		inner.Close()
	})
	n.proxy = outer.URL
	return n
}

// KZ runs kz where that CA is the machine's: kz takes its roots from no variable, so the file of the system is another one
// in a namespace of its own.
func (n *internet) KZ(t *testing.T, args ...string) bed.Result {
	t.Helper()
	const roots = "/etc/ssl/certs/ca-certificates.crt"
	enter := []string{"-rm", "/bin/sh", "-c", `mount --bind "$0" ` + roots + ` && exec "$@"`, n.caFile}
	unshare := bed.Program(t, "unshare")
	if exec.CommandContext(t.Context(), unshare, append(enter, "/bin/true")...).Run() != nil {
		bed.Missing(t, "a namespace of mounts, or "+roots)
	}
	cmd := exec.CommandContext(t.Context(), unshare, slices.Concat(enter, []string{n.bed.Program()}, args)...)
	home := n.bed.Path("home")
	cmd.Dir = home
	cmd.Env = append([]string{"PATH=" + bed.Path, "HOME=" + home, "TMPDIR=" + n.bed.Path("home/tmp"), "HTTPS_PROXY=" + n.proxy}, n.bed.Env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return bed.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: cmd.ProcessState.ExitCode()}
}

// tunnelTo answers CONNECT with a tunnel to one address, whatever was asked for.
func tunnelTo(w http.ResponseWriter, r *http.Request, to string) {
	if r.Method != http.MethodConnect || !strings.HasSuffix(r.Host, ":443") {
		http.Error(w, "CONNECT to 443 only", http.StatusBadRequest)
		return
	}
	up, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, "no upstream", http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if _, err := io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go func() { _, _ = io.Copy(up, down); up.Close() }()
	_, _ = io.Copy(down, up)
}

// Host makes a handler what stands behind a host.
func (n *internet) Host(name string, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = h
}

// Asked returns how often a host was.
func (n *internet) Asked(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[name]
}

func (n *internet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.asked[r.Host]++
	h := n.hosts[r.Host]
	n.mu.Unlock()
	if h == nil || r.TLS.ServerName != r.Host {
		http.Error(w, "no such host", http.StatusMisdirectedRequest)
		return
	}
	h.ServeHTTP(w, r)
}

// google is a fake, with what kz needs to log in to it.
func google(t *testing.T, b *bed.Bed, n *internet) *gcpfake.Server {
	t.Helper()
	fake := gcpfake.New()
	n.Host("oauth2.googleapis.com", fake)
	n.Host("secretmanager.googleapis.com", fake)
	if err := os.WriteFile(b.Path("store/google.json"), fake.KeyFile(gcpfake.TokenURL), 0o600); err != nil {
		t.Fatal(err)
	}
	return fake
}

func TestBundleOfThreeClouds(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	n := newInternet(t, b)

	aws := awsfake.New(awsfake.Options{})
	n.Host("secretsmanager.us-east-1.amazonaws.com", aws)
	gcp := google(t, b, n)
	core := bed.NewVault(t)
	address, err := url.Parse(core.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n.Host("vault.internal", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }})

	values := []string{canary.Value("aws-"), canary.Value("gcp-"), canary.Value("vault-")}
	aws.Put("prod/api-key", `{"key":"`+values[0]+`"}`)
	gcp.Put("my-gcp-project", "service-account-key", values[1])
	core.Put("secret/db", map[string]any{"password": values[2], "user": "u"})
	b.Env = append(b.Env, "GOOGLE_APPLICATION_CREDENTIALS="+b.Path("store/google.json"), "VAULT_TOKEN="+core.Token,
		"AWS_ACCESS_KEY_ID="+awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+awsfake.DefaultKey.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	file := bundle(t, b, crossCloudBundle)
	const show = `printf '%s\n' "$AWS_API_KEY" "$GCP_SERVICE_KEY" "$VAULT_DB_PASS"`

	plain := n.KZ(t, "run", "--config", file, "--", "/bin/sh", "-c", show)
	plain.Succeeds(t)
	if got := strings.Fields(string(plain.Stdout)); strings.Join(got, " ") != strings.Join(values, " ") {
		t.Errorf("got %q, want %q", got, values)
	}
	for _, host := range []string{"secretsmanager.us-east-1.amazonaws.com", "oauth2.googleapis.com", "secretmanager.googleapis.com", "vault.internal"} {
		if n.Asked(host) == 0 {
			t.Errorf("%s was not asked", host)
		}
	}

	blind := n.KZ(t, "run", "--blind", "--any-host", "--audit", b.AuditFile(), "--config", file, "--", "/bin/sh", "-c", show+"; env")
	blind.Succeeds(t)
	for i, mask := range strings.Fields(string(blind.Stdout))[:3] {
		if !strings.HasPrefix(mask, "kz_masked_") {
			t.Errorf("%q is no mask", mask)
		}
		if strings.Contains(blind.Output(), values[i]) {
			t.Error("a value is shown")
		}
	}
	for _, credential := range []string{"VAULT_TOKEN=", "AWS_SECRET_ACCESS_KEY=", "GOOGLE_APPLICATION_CREDENTIALS="} {
		if strings.Contains("\n"+string(blind.Stdout), "\n"+credential) {
			t.Errorf("the child has %s", credential)
		}
	}
}

func TestAzureKeyVault(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	n := newInternet(t, b)
	fake := azurefake.New()
	n.Host("login.microsoftonline.com", fake)
	n.Host("my-vault.vault.azure.net", fake)
	fake.Put("jira", `{"apiToken":"token-1","site":"https://x.test"}`)
	b.Env = append(b.Env, "BOOT_SECRET="+azurefake.ClientSecret)
	file := bundle(t, b, `backends:
  azure:
    type: azure_key_vault
    vault_url: https://my-vault.vault.azure.net
    auth: client_secret
    tenant_id: `+azurefake.Tenant+`
    client_id: `+azurefake.ClientID+`
    client_secret: { secret: AZURE_BOOT }
    secret_name_template: "{kind}"
  own: { type: env }
secrets:
  AZURE_BOOT: { backend: own, name: BOOT_SECRET, expose: omit }
  JIRA: { backend: azure, kind: jira, fields: [apiToken], plain_fields: [site] }
`)
	res := n.KZ(t, "run", "--config", file, "--", "/bin/sh", "-c", `printf '%s %s' "$JIRA_API_TOKEN" "$JIRA_SITE"`)
	res.Succeeds(t)
	if got := string(res.Stdout); got != "token-1 https://x.test" {
		t.Errorf("got %q: %s", got, res.Stderr)
	}
	if fake.Count("token") != 1 || fake.Count("GetSecret") > 2 { // the first is the one that is challenged
		t.Errorf("%d logins and %d calls for two variables of one secret", fake.Count("token"), fake.Count("GetSecret"))
	}
}

func TestCheckOfClouds(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	n := newInternet(t, b)
	google(t, b, n)
	azure := azurefake.New()
	n.Host("login.microsoftonline.com", azure)
	n.Host("my-vault.vault.azure.net", azure)
	azure.Fail(azurefake.Failure{Method: "token", HTTP: 401, Body: `{"error":"invalid_client","error_codes":[7000222],"error_description":"$SENT"}`})
	b.Env = append(b.Env, "AZURE_TENANT_ID="+azurefake.Tenant, "AZURE_CLIENT_ID="+azurefake.ClientID, "AZURE_CLIENT_SECRET="+azurefake.ClientSecret,
		// What the SDKs would write to standard error.
		"AZURE_SDK_GO_LOGGING=all", "GOOGLE_SDK_GO_LOGGING_LEVEL=debug")
	file := bundle(t, b, `backends:
  gcp: { type: gcp_secret_manager, project: my-project, credentials_file: ../store/google.json }
  azure: { type: azure_key_vault, vault_url: "https://my-vault.vault.azure.net" }
`)
	res := n.KZ(t, "backends", "check", "--json", "--config", file)
	res.Exits(t, 1)
	var got []struct {
		Name, Error, Hint string
		OK                bool
	}
	if err := json.Unmarshal(res.Stdout, &got); err != nil || len(got) != 2 {
		t.Fatalf("%v: %s", err, res.Stdout)
	}
	for _, c := range got {
		if c.OK != (c.Name == "gcp") || c.Name == "azure" && (!strings.Contains(c.Error, "the client secret has expired (status 401, InvalidClient)") || !strings.Contains(c.Hint, "az ad app credential reset")) {
			t.Errorf("%+v", c)
		}
	}
	for _, text := range []string{azurefake.ClientSecret, azurefake.TokenPrefix, gcpfake.TokenPrefix, "eyJ", "Authorization"} {
		if strings.Contains(res.Output(), text) {
			t.Errorf("%q is shown: %s", text, res.Output())
		}
	}
}
