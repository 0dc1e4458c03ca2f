package awssm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/resolvertest/awsfake"
)

func TestCredentialsThatExpireAreLookedForAgain(t *testing.T) {
	t.Parallel()
	second := awsfake.Key{AccessKeyID: "AKIDSECOND", SecretAccessKey: "second-secret-access-key", SessionToken: "second-session-token"}
	fake := awsfake.New(awsfake.Options{Keys: []awsfake.Key{awsfake.DefaultKey, second}})
	fake.Put("k", "v")
	url := serve(t, fake)
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[default]\naws_access_key_id = " + awsfake.DefaultKey.AccessKeyID + "\naws_secret_access_key = " + awsfake.DefaultKey.SecretAccessKey + "\n")
	s := open(t, awsauth.Options{Region: "us-east-1", Endpoint: url, Load: awsfake.Load(url, config.WithSharedCredentialsFiles([]string{file}))})
	get(t, s, resolver.Ref{ID: "k"}, "v")

	// As a tool does that logs in by a browser now and then.
	fake.Fail(awsfake.Failure{Code: "ExpiredTokenException", Times: 1})
	write("[default]\naws_access_key_id = " + second.AccessKeyID + "\naws_secret_access_key = " + second.SecretAccessKey + "\naws_session_token = " + second.SessionToken + "\n")
	fails(t, s, resolver.Ref{ID: "k"}, resolver.AccessDenied)
	get(t, s, resolver.Ref{ID: "k"}, "v")
	requests := fake.Requests()
	if last := requests[len(requests)-1]; last.AccessKeyID != second.AccessKeyID {
		t.Errorf("still with the key %s", last.AccessKeyID)
	}
}
