package awsauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/resolvertest/awsfake"
)

// The SDK follows 307 and 308, to any host, as soon as its bodies can be sent twice.
func TestNothingGoesWhereAnAnswerSendsIt(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var asked, followed atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			followed.Add(1)
		}))
		t.Cleanup(other.Close)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			asked.Add(1)
			http.Redirect(w, r, other.URL+"/elsewhere", status)
		}))
		t.Cleanup(srv.Close)
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte(awsfake.WebToken), 0o600); err != nil {
			t.Fatal(err)
		}
		pod := map[string]string{"AWS_ROLE_ARN": awsfake.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": token}
		for name, o := range map[string]awsauth.Options{
			"a key's signature":    {Auth: awsauth.Static, AccessKeyID: awsfake.DefaultKey.AccessKeyID, SecretAccessKey: resolver.NewSecret(awsfake.DefaultKey.SecretAccessKey)},
			"a web identity token": {Auth: awsauth.IRSA, Getenv: func(name string) string { return pod[name] }},
		} {
			o.Region, o.Load = "us-east-1", awsfake.Load(srv.URL)
			l := login(t, o)
			cfg, err := l.Config(t.Context(), "")
			if err == nil {
				_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
				err = l.Explain(t.Context(), err, nil, func(*resolver.Error) {})
			}
			inspect(t, err, resolver.KindOf(err)) // of its own, whatever the SDK makes of it
			if asked.Swap(0) == 0 || followed.Swap(0) != 0 {
				t.Errorf("%d: %s went elsewhere", status, name)
			}
		}
	}
}
