package awssm_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awssm"
	"kz/resolver/resolvertest/awsfake"
)

// environment gives this test the SDK's own chain and nothing of this machine.
func environment(t *testing.T, vars map[string]string) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CA_BUNDLE",
		"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, v := range vars {
		t.Setenv(name, v)
	}
}

func withKey(vars map[string]string) map[string]string {
	vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"] = awsfake.DefaultKey.AccessKeyID, awsfake.DefaultKey.SecretAccessKey
	return vars
}

// standard is a store that takes everything from the environment.
func standard(t *testing.T, o awsauth.Options) *awssm.Store {
	t.Helper()
	s, err := awssm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRegion(t *testing.T) {
	fake := awsfake.New(awsfake.Options{Region: "eu-west-1"})
	fake.Put("k", "v")
	endpoint := serve(t, fake)
	profile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(profile, []byte("[default]\nregion = eu-west-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The fake refuses a signature for another region than its own.
	for name, c := range map[string]struct {
		vars map[string]string
		opt  awsauth.Options
		ref  resolver.Ref
	}{
		"is the backend's":                       {map[string]string{"AWS_REGION": "us-east-1"}, awsauth.Options{Region: "eu-west-1"}, resolver.Ref{ID: "k"}},
		"or that of the environment":             {map[string]string{"AWS_REGION": "eu-west-1"}, awsauth.Options{}, resolver.Ref{ID: "k"}},
		"or that of the profile":                 {map[string]string{"AWS_CONFIG_FILE": profile}, awsauth.Options{}, resolver.Ref{ID: "k"}},
		"or that of the secret's ARN":            {map[string]string{}, awsauth.Options{}, resolver.Ref{ID: fake.ARN("k")}},
		"and the endpoint may be a variable too": {map[string]string{"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": endpoint}, awsauth.Options{Endpoint: "-"}, resolver.Ref{ID: "k"}},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, withKey(c.vars))
			switch c.opt.Endpoint {
			case "":
				c.opt.Endpoint = endpoint
			case "-":
				c.opt.Endpoint = ""
			}
			s := standard(t, c.opt)
			get(t, s, c.ref, "v")
			for i, out := range s.ResolveBatch(t.Context(), []resolver.Ref{c.ref, {ID: c.ref.ID, Field: "x"}}) {
				if i == 0 && (out.Err != nil || out.Result.Secret.Reveal() != "v") {
					t.Error(out.Err)
				}
			}
		})
	}
	t.Run("without any, the hint says what to write, at once", func(t *testing.T) {
		environment(t, withKey(map[string]string{}))
		var asked atomic.Int32 // the machine's own metadata server, which may be far away
		imds := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		t.Cleanup(imds.Close)
		os.Unsetenv("AWS_EC2_METADATA_DISABLED")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.URL)
		e := fails(t, standard(t, awsauth.Options{}), resolver.Ref{ID: "k"}, resolver.InvalidReference)
		contains(t, e.Error()+" "+e.Hint(), "no AWS region is known", `region = "us-east-1"`, "AWS_REGION")
		if n := asked.Load(); n > 0 {
			t.Errorf("the metadata server was asked %d times", n)
		}
	})
	t.Run("an ARN of another region says so when it is not found", func(t *testing.T) {
		environment(t, withKey(map[string]string{}))
		e := fails(t, standard(t, awsauth.Options{Region: "eu-west-1", Endpoint: endpoint}),
			resolver.Ref{ID: "arn:aws:secretsmanager:us-west-2:123456789012:secret:k-abcdef"}, resolver.NotFound)
		contains(t, e.Hint(), `region = "us-west-2"`)
	})
}

func TestChain(t *testing.T) {
	fake := awsfake.New(awsfake.Options{ContainerToken: "pod-token", WebIdentityToken: "jwt"})
	fake.Put("k", "v")
	endpoint := serve(t, fake)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := awsfake.DefaultKey
	for name, vars := range map[string]map[string]string{
		"the environment":        withKey(map[string]string{}),
		"a credentials file":     {"AWS_SHARED_CREDENTIALS_FILE": file("[p]\naws_access_key_id = " + key.AccessKeyID + "\naws_secret_access_key = " + key.SecretAccessKey + "\n"), "AWS_PROFILE": "p"},
		"a container's endpoint": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file("pod-token")},
		"a web identity":         {"AWS_WEB_IDENTITY_TOKEN_FILE": file("jwt"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/irsa", "AWS_ENDPOINT_URL_STS": endpoint},
		"a role of a profile":    {"AWS_CONFIG_FILE": file("[default]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Environment\n"), "AWS_ENDPOINT_URL_STS": endpoint, "AWS_ACCESS_KEY_ID": key.AccessKeyID, "AWS_SECRET_ACCESS_KEY": key.SecretAccessKey},
		"a process":              {"AWS_CONFIG_FILE": file("[default]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"" + key.AccessKeyID + "\",\"SecretAccessKey\":\"" + key.SecretAccessKey + "\"}'\n")},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, vars)
			get(t, standard(t, awsauth.Options{Region: "us-east-1", Endpoint: endpoint}), resolver.Ref{ID: "k"}, "v")
		})
	}
	for name, c := range map[string]struct {
		vars map[string]string
		kind resolver.Kind
		text string
	}{
		"without credentials the hint says how to log in": {map[string]string{}, resolver.AccessDenied, "no AWS credentials are found"},
		"a profile that is not there is named as such":    {map[string]string{"AWS_PROFILE": "nope"}, resolver.InvalidReference, "AWS_PROFILE"},
		"a failing process is named as such":              {map[string]string{"AWS_CONFIG_FILE": file("[default]\ncredential_process = echo canary-5d0b7e3c; exit 1\n")}, resolver.AccessDenied, "credential_process"},
		"a refused web identity is named as such": {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": file("canary-5d0b7e3c"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/irsa", "AWS_ENDPOINT_URL_STS": endpoint},
			resolver.AccessDenied, "InvalidIdentityToken"},
		"a bad credentials file shows nothing of it": {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file("[default\naws_secret_access_key = canary-5d0b7e3c\n")}, resolver.AccessDenied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, c.vars)
			e := fails(t, standard(t, awsauth.Options{Region: "us-east-1", Endpoint: endpoint}), resolver.Ref{ID: "k"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text)
		})
	}
}

func TestTheUsersProxyIsUsed(t *testing.T) {
	// net/http reads the proxy variables once in a process, so this takes a new one.
	if os.Getenv("KZ_TEST_PROXY_CHILD") != "" {
		s := standard(t, awsauth.Options{Region: "us-east-1", Endpoint: "http://secretsmanager.test"})
		fails(t, s, resolver.Ref{ID: "k"}, resolver.InvalidReference)
		return
	}
	t.Parallel()
	var asked atomic.Value
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Host)
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"ValidationException"}`)
	}))
	child := exec.Command(os.Args[0], "-test.run=^TestTheUsersProxyIsUsed$")
	child.Env = []string{"KZ_TEST_PROXY_CHILD=1", "HTTP_PROXY=" + proxy, "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awsfake.DefaultKey.SecretAccessKey}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if line, rest, _ := strings.Cut(string(out), "\n"); line != "PASS" || strings.Contains(rest, "SDK") {
		t.Errorf("the SDK printed something: %s", out)
	}
	if got, _ := asked.Load().(string); got != "secretsmanager.test" {
		t.Errorf("the proxy was asked for %q", got)
	}
}
