package awsssm_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awsssm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

func TestMain(m *testing.M) {
	awsfake.ClearEnvironment()
	os.Exit(m.Run())
}

// harness opens the store by one way to log in; STS is there also when the store is down or silent.
func harness(login func(t *testing.T, fake *awsfake.Server, url string) awsauth.Options) func(*testing.T) resolvertest.Harness {
	return func(t *testing.T) resolvertest.Harness {
		fake := awsfake.New(awsfake.Options{Issuer: agent})
		url := serve(t, fake)
		o := login(t, fake, url)
		at := func(t *testing.T, endpoint string, limit time.Duration) *awsssm.Store {
			o := o
			o.Endpoint, o.Timeout = endpoint, limit
			return open(t, o)
		}
		return resolvertest.Harness{
			Resolver:    open(t, o),
			Credentials: awsfake.Secrets(),
			Put:         func(_ *testing.T, id, value string) { fake.PutParameter("/kz/"+id, value) },
			Ref:         func(id, field string) resolver.Ref { return resolver.Ref{ID: "/kz/" + id, Field: field} },
			Deny: func(_ *testing.T, id string) {
				fake.Fail(awsfake.Failure{SecretID: "/kz/" + id, Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
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
		resolvertest.Shown(t, "aws_ssm", "default", "a fake that checks SigV4, the key in a credentials file")
		resolvertest.Run(t, harness(by(awsauth.Default)))
	})
	t.Run("with a static key", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_ssm", "static", "a fake that checks SigV4")
		resolvertest.Run(t, harness(by(awsauth.Static)))
	})
	t.Run("with a role", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_ssm", "role", "a fake that checks SigV4, with STS and an external id")
		resolvertest.Run(t, harness(by(awsauth.Role)))
	})
	t.Run("with a web identity", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "aws_ssm", "irsa", "a fake that checks SigV4, with STS and a web identity token")
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
	resolvertest.Shown(t, "aws_ssm", "default", "a fake that checks SigV4, with a pod identity agent")
	t.Cleanup(func() { // before what is shown
		if agent.Count("ContainerCredentials") == 0 {
			t.Error("the agent was not asked")
		}
	})
	resolvertest.Run(t, harness(func(_ *testing.T, _ *awsfake.Server, url string) awsauth.Options {
		return awsauth.Options{Region: "us-east-1", Endpoint: url, Load: config.LoadDefaultConfig}
	}))
}

func open(t *testing.T, o awsauth.Options) *awsssm.Store {
	t.Helper()
	s, err := awsssm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// mute takes requests and never answers.
var mute = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // only then the server sees the client leave
	<-r.Context().Done()
})
