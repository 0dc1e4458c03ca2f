package awsfake

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// ClearEnvironment leaves this process nothing of the machine's AWS: for TestMain.
func ClearEnvironment() {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if upper := strings.ToUpper(name); strings.HasPrefix(upper, "AWS_") || strings.HasSuffix(upper, "_PROXY") {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		_ = os.Setenv(name, value)
	}
}

// What the ways of Login are made of. None of it may be in an error.
const (
	RoleARN    = "arn:aws:iam::123456789012:role/reader"
	ExternalID = "external-id-4c1d"
	WebToken   = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwb2QtNGMxZCJ9.c2lnbmF0dXJl" // the form of a JWT
)

// Secrets are texts of credentials that no error may show, those of SigV4 included.
func Secrets() []string {
	return []string{DefaultKey.SecretAccessKey, DefaultKey.AccessKeyID, "temporary-secret-access-key", "temporary-session-token", "ASIA0000",
		ExternalID, WebToken, "AWS4-HMAC", "Signature=", "X-Amz-Security-Token"}
}

// Login is how a store logs in to the fake at url, one of the ways of awsauth: Default finds the key in a credentials file,
// Role starts from the static key, IRSA from a token file. The fake is made to accept it.
func (s *Server) Login(t testing.TB, url, auth string) awsauth.Options {
	t.Helper()
	o := awsauth.Options{Region: s.opt.Region, Endpoint: url, Auth: auth, Load: Load(url), Getenv: func(string) string { return "" }}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	switch auth {
	case awsauth.Default:
		o.Load = Load(url, config.WithSharedCredentialsFiles([]string{
			file("[default]\naws_access_key_id = " + DefaultKey.AccessKeyID + "\naws_secret_access_key = " + DefaultKey.SecretAccessKey + "\n")}))
	case awsauth.Role:
		o.RoleARN, o.ExternalID = RoleARN, ExternalID
		s.mu.Lock()
		s.opt.ExternalID = ExternalID
		s.mu.Unlock()
		fallthrough
	case awsauth.Static:
		o.AccessKeyID, o.SecretAccessKey = DefaultKey.AccessKeyID, resolver.NewSecret(DefaultKey.SecretAccessKey)
	case awsauth.IRSA:
		s.SetWebIdentityToken(WebToken)
		pod := map[string]string{"AWS_ROLE_ARN": RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": file(WebToken)}
		o.Getenv = func(name string) string { return pod[name] }
	}
	return o
}

// Load is config.LoadDefaultConfig with every service at url.
func Load(url string, more ...func(*config.LoadOptions) error) func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
	return func(ctx context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error) {
		opts = append(opts, config.WithBaseEndpoint(url))
		return config.LoadDefaultConfig(ctx, append(opts, more...)...)
	}
}

// Client speaks to the fake without a connection, so that a test may have a clock of its own (testing/synctest).
func (s *Server) Client() *http.Client { return &http.Client{Transport: direct{s}} }

type direct struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	w := httptest.NewRecorder()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer func() { _ = recover() }() // of http.ErrAbortHandler, when the fake hangs
		d.s.ServeHTTP(w, in)
	}()
	select {
	case <-answered:
	case <-r.Context().Done():
		<-answered
		return nil, r.Context().Err()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}
