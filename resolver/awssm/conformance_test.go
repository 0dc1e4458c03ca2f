package awssm_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awssm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

func TestMain(m *testing.M) {
	if os.Getenv("KZ_TEST_PROXY_CHILD") == "" {
		awsfake.ClearEnvironment()
	}
	os.Exit(m.Run())
}

// harness opens the store by one way to log in; STS is there also when the store is down or silent.
func harness(login func(t *testing.T, fake *awsfake.Server, url string) awsauth.Options) func(*testing.T) resolvertest.Harness {
	return func(t *testing.T) resolvertest.Harness {
		fake := awsfake.New(awsfake.Options{Issuer: agent})
		url := serve(t, fake)
		o := login(t, fake, url)
		at := func(t *testing.T, endpoint string, limit time.Duration) *awssm.Store {
			o := o
			o.Endpoint, o.Timeout = endpoint, limit
			return open(t, o)
		}
		return resolvertest.Harness{
			Resolver:    open(t, o),
			Credentials: awsfake.Secrets(),
			Put:         func(_ *testing.T, id, value string) { fake.Put(id, value) },
			Deny: func(_ *testing.T, id string) {
				fake.Fail(awsfake.Failure{SecretID: id, Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
			},
			Down:   func(t *testing.T) resolver.Resolver { return at(t, nobody(t), 0) },
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver { return at(t, serve(t, mute), limit) },
		}
	}
}

func by(auth string) func(t *testing.T, fake *awsfake.Server, url string) awsauth.Options {
	return func(t *testing.T, fake *awsfake.Server, url string) awsauth.Options { return fake.Login(t, url, auth) }
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("with the SDK's chain", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_secrets_manager", "default", "a fake that checks SigV4, the key in a credentials file")
		resolvertest.Run(t, harness(by(awsauth.Default)))
	})
	t.Run("with a static key", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_secrets_manager", "static", "a fake that checks SigV4")
		resolvertest.Run(t, harness(by(awsauth.Static)))
	})
	t.Run("with a role", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_secrets_manager", "role", "a fake that checks SigV4, with STS and an external id")
		resolvertest.Run(t, harness(by(awsauth.Role)))
	})
	t.Run("with a web identity", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_secrets_manager", "irsa", "a fake that checks SigV4, with STS and a web identity token")
		resolvertest.Run(t, harness(by(awsauth.IRSA)))
	})
}

// agent is the pod identity agent of every test here: what it gives out is accepted by all the fakes.
var agent = awsfake.New(awsfake.Options{ContainerToken: "pod-identity-token-77a0"})

func TestConformanceWithPodIdentity(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("pod-identity-token-77a0"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, agent)+"/v1/credentials")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token)
	resolvertest.Shown(t, "aws_secrets_manager", "default", "a fake that checks SigV4, with a pod identity agent")
	t.Cleanup(func() { // before what is shown
		if agent.Count("ContainerCredentials") == 0 {
			t.Error("the agent was not asked")
		}
	})
	resolvertest.Run(t, harness(func(_ *testing.T, _ *awsfake.Server, url string) awsauth.Options {
		return awsauth.Options{Region: "us-east-1", Endpoint: url, Load: config.LoadDefaultConfig}
	}))
}

func TestWhoIsRefusedIsWhoAsks(t *testing.T) {
	t.Parallel()
	for auth, who := range map[string]string{
		awsauth.Default: "who you are: aws sts get-caller-identity",
		awsauth.Static:  "kz asks as the user of access_key_id",
		awsauth.Role:    "kz asks as the role " + awsfake.RoleARN,
		awsauth.IRSA:    "kz asks as the role ",
	} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			h := harness(by(auth))(t)
			h.Deny(t, "prod/api")
			_, err := h.Resolver.Resolve(t.Context(), resolver.Ref{ID: "prod/api"})
			var e *resolver.Error
			if !errors.As(err, &e) || !strings.Contains(e.Hint(), who) {
				t.Errorf("%v: %q", err, e.Hint())
			}
		})
	}
}
