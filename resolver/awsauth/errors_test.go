package awsauth_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

// refused logs in, which fails, and returns why; the error shows no credential.
func refused(t *testing.T, o awsauth.Options, kind resolver.Kind, parts ...string) {
	t.Helper()
	_, err := login(t, o).Config(t.Context(), "")
	inspect(t, err, kind, parts...)
}

func inspect(t *testing.T, err error, kind resolver.Kind, parts ...string) {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Hint() == "" {
		t.Fatalf("%v, want %s with a hint", err, kind)
	}
	resolvertest.NoLeak(t, err, append(awsfake.Secrets(), resolvertest.Canary)...)
	for _, part := range parts {
		if !strings.Contains(e.Error()+"\n"+e.Hint(), part) {
			t.Errorf("%q\n%q lack %q", e.Error(), e.Hint(), part)
		}
	}
}

func TestWhyThereIsNoLogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		auth    string
		failure awsfake.Failure
		kind    resolver.Kind
		text    []string
	}{
		"a role that may not be assumed": {awsauth.Role, awsfake.Failure{Code: "AccessDenied", Status: 403}, resolver.AccessDenied,
			[]string{"the role " + awsfake.RoleARN + " may not be assumed", "allow sts:AssumeRole on it to the user of access_key_id", "trust policy", "external_id", "(status 403, AccessDenied)"}},
		"a key that is not known":       {awsauth.Role, awsfake.Failure{Code: "InvalidClientTokenId", Status: 403}, resolver.AccessDenied, []string{"access key is not known", "check that the key is active"}},
		"a secret key of another":       {awsauth.Role, awsfake.Failure{Code: "SignatureDoesNotMatch", Status: 403}, resolver.AccessDenied, []string{"signature does not match"}},
		"base credentials at their end": {awsauth.Role, awsfake.Failure{Code: "ExpiredToken", Status: 403}, resolver.AccessDenied, []string{"they have expired", "aws sso login"}},
		"a name that STS does not take": {awsauth.Role, awsfake.Failure{Code: "ValidationError"}, resolver.InvalidReference, []string{"role_arn", "session_name"}},
		"a region without STS":          {awsauth.Role, awsfake.Failure{Code: "RegionDisabledException", Status: 403}, resolver.AccessDenied, []string{"not active in the region"}},
		"too many logins":               {awsauth.Role, awsfake.Failure{Code: "Throttling"}, resolver.Throttled, []string{"Throttling"}},
		"an STS that fails":             {awsauth.Role, awsfake.Failure{Code: "InternalFailure", Status: 500}, resolver.Unavailable, []string{"status 500"}},
		"an answer of something else":   {awsauth.Role, awsfake.Failure{Status: 200, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, []string{"not one of STS (status 200)"}},
		"an answer without credentials": {awsauth.Role, awsfake.Failure{Status: 200, Body: []byte("<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>")}, resolver.Unavailable, []string{"not one of STS"}},
		"a token for no credentials": {awsauth.IRSA, awsfake.Failure{Status: 200, Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>" + resolvertest.Canary +
			"</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")}, resolver.Unavailable, []string{"not one of STS"}},
		"a token of another cluster":     {awsauth.IRSA, awsfake.Failure{Code: "InvalidIdentityToken"}, resolver.AccessDenied, []string{"web identity token", "OIDC provider"}},
		"a token with other claims":      {awsauth.IRSA, awsfake.Failure{Code: "IDPRejectedClaim", Status: 403}, resolver.AccessDenied, []string{"OIDC provider"}},
		"a token at its end":             {awsauth.IRSA, awsfake.Failure{Code: "ExpiredTokenException"}, resolver.AccessDenied, []string{"the web identity token has expired"}},
		"a service account not trusted":  {awsauth.IRSA, awsfake.Failure{Code: "AccessDenied", Status: 403}, resolver.AccessDenied, []string{"sts:AssumeRoleWithWebIdentity", "system:serviceaccount:NAMESPACE:NAME"}},
		"a cluster that does not answer": {awsauth.IRSA, awsfake.Failure{Code: "IDPCommunicationError"}, resolver.Unavailable, []string{"IDPCommunicationError"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := awsfake.New(awsfake.Options{})
			o := unconnected(t, fake, c.auth)
			c.failure.Message, c.failure.Echo = resolvertest.Canary, true
			fake.Fail(c.failure)
			refused(t, o, c.kind, c.text...)
		})
	}
	t.Run("an external id that the role does not ask for", func(t *testing.T) {
		t.Parallel()
		fake := awsfake.New(awsfake.Options{})
		o := unconnected(t, fake, awsauth.Role)
		o.ExternalID = "another"
		refused(t, o, resolver.AccessDenied, "external_id")
	})
	t.Run("a role of a profile, for which STS gives nothing", func(t *testing.T) {
		t.Parallel()
		profile := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(profile, []byte("[default]\nrole_arn = "+awsfake.RoleARN+"\nsource_profile = base\n[profile base]\naws_access_key_id = "+
			awsfake.DefaultKey.AccessKeyID+"\naws_secret_access_key = "+awsfake.DefaultKey.SecretAccessKey+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fake := awsfake.New(awsfake.Options{})
		o := unconnected(t, fake, awsauth.Default)
		o.Load = awsfake.Load(endpoint, config.WithHTTPClient(fake.Client()), config.WithSharedConfigFiles([]string{profile}))
		fake.Fail(awsfake.Failure{Times: 1, Status: 200, Body: []byte("<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>")})
		refused(t, o, resolver.Unavailable, "not one of STS") // the SDK alone finds no credentials, and does not say why
		if _, err := login(t, o).Config(t.Context(), ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("a role without base credentials", func(t *testing.T) {
		t.Parallel()
		o := unconnected(t, awsfake.New(awsfake.Options{}), awsauth.Role)
		o.AccessKeyID, o.SecretAccessKey = "", resolver.Secret{}
		refused(t, o, resolver.AccessDenied, "no AWS credentials are found", "aws sso login")
	})
}

func TestWhyAPodHasNoLogin(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		env  func(t *testing.T) map[string]string
		text []string
	}{
		"no role": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": write(t, "x")}
		}, []string{"no role", "AWS_ROLE_ARN", "eks.amazonaws.com/role-arn"}},
		"no token": {func(*testing.T) map[string]string {
			return map[string]string{"AWS_ROLE_ARN": awsfake.RoleARN}
		}, []string{"no web identity token", "AWS_WEB_IDENTITY_TOKEN_FILE"}},
		"a token file that is not there": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_ROLE_ARN": awsfake.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": filepath.Join(t.TempDir(), "gone")}
		}, []string{"there is no file", "gone", "projected volume"}},
		"an empty one": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_ROLE_ARN": awsfake.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": write(t, "")}
		}, []string{"web identity token"}},
		"one that is no file": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_ROLE_ARN": awsfake.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": t.TempDir()}
		}, []string{"web identity token"}},
		"one that is no token": {func(t *testing.T) map[string]string {
			return map[string]string{"AWS_ROLE_ARN": awsfake.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": write(t, strings.Repeat(resolvertest.Canary, 8<<10))}
		}, []string{"web identity token"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := awsfake.New(awsfake.Options{})
			o := unconnected(t, fake, awsauth.IRSA)
			env := c.env(t)
			o.Getenv = func(name string) string { return env[name] }
			refused(t, o, resolver.AccessDenied, c.text...)
			if n := fake.Count("AssumeRoleWithWebIdentity"); n != 0 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

func TestWhyThePodIdentityAgentGivesNothing(t *testing.T) {
	agent := httptest.NewServer(awsfake.New(awsfake.Options{ContainerToken: "another token"}))
	defer agent.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(awsfake.WebToken), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][2]string{
		"the agent refuses the token": {agent.URL + "/v1/credentials", token},
		"there is no agent":           {"http://127.0.0.1:1/v1/credentials", token},
		"there is no token":           {agent.URL + "/v1/credentials", token + "-gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", env[0])
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", env[1])
			refused(t, awsauth.Options{Region: "us-east-1"}, resolver.AccessDenied, "credential agent", "aws eks list-pod-identity-associations")
		})
	}
}

func TestNewReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := awsauth.New(awsauth.Options{Endpoint: "ftp://x", Auth: awsauth.Role, AccessKeyID: "AKIA"})
	inspect(t, err, resolver.InvalidReference, "endpoint", "secret_access_key", "role_arn")
	_, err = awsauth.New(awsauth.Options{Auth: "magic"})
	inspect(t, err, resolver.InvalidReference, "no such way to log in")
	_, err = awsauth.New(awsauth.Options{Auth: awsauth.Static, AccessKeyID: "AKIA", SecretAccessKey: resolver.NewSecret("")})
	inspect(t, err, resolver.InvalidReference, "neither may be empty")
}

func TestAClockThatIsOff(t *testing.T) {
	t.Parallel()
	fake := awsfake.New(awsfake.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	l := login(t, unconnected(t, fake, awsauth.Static))
	t.Run("is made up for by what the service says of the time", func(t *testing.T) {
		cfg, err := l.Config(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
			t.Error(err)
		}
	})
	for code, message := range map[string]string{"RequestTimeTooSkewed": "", "RequestExpired": "", "SignatureDoesNotMatch": "Signature expired: 2026 is now earlier than 2027"} {
		t.Run("is named when that does not help: "+code, func(t *testing.T) {
			fake.Fail(awsfake.Failure{Code: code, Status: 403, Message: message, Echo: true})
			defer fake.Recover()
			inspect(t, explained(t, l), resolver.AccessDenied, "clock", "timedatectl")
		})
	}
}

func TestACertificateOfAnUnknownAuthority(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	o := awsauth.Options{Region: "us-east-1", Auth: awsauth.Static, AccessKeyID: awsfake.DefaultKey.AccessKeyID,
		SecretAccessKey: resolver.NewSecret(awsfake.DefaultKey.SecretAccessKey), Load: awsfake.Load(srv.URL)}
	inspect(t, explained(t, login(t, o)), resolver.Unavailable, "unknown authority", "trust store", "AWS_CA_BUNDLE")
}

func TestCredentialsThatHaveEndedAreNotTaken(t *testing.T) {
	t.Parallel()
	// The SDK mends the signature's time by what the service says, and takes no notice that the credentials are of then, too.
	fake := awsfake.New(awsfake.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	refused(t, unconnected(t, fake, awsauth.Role), resolver.Unavailable, "have ended already", "clock", "timedatectl")
}

func TestAnAnswerHasAnEnd(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest) // the SDK reads an error as a whole, before it looks into it
		for block := []byte(strings.Repeat(" ", 64<<10)); sent.Load() < 64<<20; sent.Add(int64(len(block))) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	o := awsauth.Options{Region: "us-east-1", Auth: awsauth.Static, AccessKeyID: awsfake.DefaultKey.AccessKeyID,
		SecretAccessKey: resolver.NewSecret(awsfake.DefaultKey.SecretAccessKey), Load: awsfake.Load(srv.URL)}
	inspect(t, explained(t, login(t, o)), resolver.Unavailable, "longer than 16 MiB")
	if n := sent.Load(); n >= 64<<20 {
		t.Errorf("%d MiB were taken", n>>20)
	}
}

func TestRegionOfACall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ configured, asked, want string }{
		"is the backend's":            {"eu-west-1", "us-east-1", "eu-west-1"},
		"or that of the reference":    {"", "us-east-1", "us-east-1"},
		"and there has to be one":     {"", "", ""},
		"also for what names no ARN ": {"eu-west-1", "", "eu-west-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := awsfake.New(awsfake.Options{Region: c.want})
			o := unconnected(t, fake, awsauth.Role)
			o.Region = c.configured
			clients := awsauth.NewClients(login(t, o), func(cfg aws.Config, _ *string) *sts.Client { return sts.NewFromConfig(cfg) })
			_, region, err := clients.In(t.Context(), c.asked)
			if c.want == "" {
				inspect(t, err, resolver.InvalidReference, "no AWS region is known", "AWS_REGION")
			} else if err != nil || region != c.want {
				t.Errorf("%q %v", region, err)
			}
		})
	}
}
