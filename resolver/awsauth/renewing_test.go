package awsauth_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

func TestMain(m *testing.M) {
	awsfake.ClearEnvironment()
	os.Exit(m.Run())
}

// endpoint is where the fake is, for those who reach it without a connection.
const endpoint = "http://aws.test"

// unconnected is how to log in to a fake in a bubble of synctest.
func unconnected(t *testing.T, fake *awsfake.Server, auth string) awsauth.Options {
	o := fake.Login(t, endpoint, auth)
	o.Load = awsfake.Load(endpoint, config.WithHTTPClient(fake.Client()))
	return o
}

func login(t *testing.T, o awsauth.Options) *awsauth.Login {
	t.Helper()
	l, err := awsauth.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// keyID is the access key that the login would use now.
func keyID(t *testing.T, l *awsauth.Login) string {
	t.Helper()
	cfg, err := l.Config(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return creds.AccessKeyID
}

func TestCredentialsOfARole(t *testing.T) {
	t.Parallel()
	const life = 900 * time.Second // what the SDK asks for
	t.Run("are renewed when 80 % of their life is over, and not before", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := awsfake.New(awsfake.Options{})
			l := login(t, unconnected(t, fake, awsauth.Role))
			first := keyID(t, l)
			time.Sleep(life*8/10 - time.Second)
			if keyID(t, l) != first || fake.Count("AssumeRole") != 1 {
				t.Errorf("%d logins before 80 %%", fake.Count("AssumeRole"))
			}
			time.Sleep(2 * time.Second)
			if keyID(t, l) == first || fake.Count("AssumeRole") != 2 {
				t.Errorf("%d logins after 80 %%", fake.Count("AssumeRole"))
			}
		})
	})
	t.Run("are renewed with one call, however many ask", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := awsfake.New(awsfake.Options{})
			l := login(t, unconnected(t, fake, awsauth.Role))
			keyID(t, l)
			time.Sleep(life * 9 / 10)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { keyID(t, l) })
			}
			all.Wait()
			if n := fake.Count("AssumeRole"); n != 2 {
				t.Errorf("%d logins", n)
			}
		})
	})
	t.Run("are used to their end while new ones cannot be had, and not longer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := awsfake.New(awsfake.Options{})
			l := login(t, unconnected(t, fake, awsauth.Role))
			first := keyID(t, l)
			fake.Fail(awsfake.Failure{Operation: "AssumeRole", Code: "AccessDenied", Status: 403})
			time.Sleep(life * 9 / 10)
			for range 5 {
				if keyID(t, l) != first {
					t.Error("other credentials")
				}
			}
			if n := fake.Count("AssumeRole"); n != 2 {
				t.Errorf("%d logins: one failure is enough for a while", n)
			}
			time.Sleep(life / 10)
			if _, err := l.Config(t.Context(), ""); !errors.Is(err, resolver.AccessDenied) {
				t.Errorf("with expired credentials: %v", err)
			}
		})
	})
	t.Run("are asked for again when a service calls them expired", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := awsfake.New(awsfake.Options{})
			l := login(t, unconnected(t, fake, awsauth.Role))
			first := keyID(t, l)
			fake.Fail(awsfake.Failure{Operation: "GetCallerIdentity", Code: "ExpiredToken", Status: 403, Message: resolvertest.Canary, Echo: true})
			e := explained(t, l)
			resolvertest.NoLeak(t, e, append(awsfake.Secrets(), resolvertest.Canary)...)
			if e.Kind != resolver.AccessDenied || keyID(t, l) == first {
				t.Errorf("%v, and the same credentials", e)
			}
		})
	})
	t.Run("do not depend on the caller who asked first", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := awsfake.New(awsfake.Options{})
			fake.Fail(awsfake.Failure{Operation: "AssumeRole", Status: 500, Code: "InternalFailure", Times: 1}) // takes a moment
			l := login(t, unconnected(t, fake, awsauth.Role))
			first, err := ask(t, l)
			_, second := ask(t, l)
			first()
			if e := <-err; !errors.Is(e, context.Canceled) {
				t.Errorf("who left: %v", e)
			}
			if e := <-second; e != nil {
				t.Errorf("who stayed: %v", e)
			}
			if n := fake.Count("AssumeRole"); n != 2 { // the failure, and its repetition
				t.Errorf("%d calls", n)
			}
		})
	})
	t.Run("are not waited for when nobody does", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := awsfake.New(awsfake.Options{})
			fake.Fail(awsfake.Failure{Operation: "AssumeRole", Hang: true, Times: 1})
			l := login(t, unconnected(t, fake, awsauth.Role))
			began := time.Now()
			leave, err := ask(t, l)
			leave()
			if e := <-err; !errors.Is(e, context.Canceled) {
				t.Errorf("who left: %v", e)
			}
			keyID(t, l) // does not wait for what hangs
			if d := time.Since(began); d != 0 {
				t.Errorf("it took %v", d)
			}
		})
	})
}

// ask has someone ask who may leave, and returns once the call is under way.
func ask(t *testing.T, l *awsauth.Login) (leave context.CancelFunc, outcome <-chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	err := make(chan error, 1)
	go func() {
		_, e := l.Config(ctx, "")
		err <- e
	}()
	synctest.Wait()
	return cancel, err
}

func TestWhenCredentialsAreDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{15 * time.Minute: 12 * time.Minute, time.Second: 800 * time.Millisecond, 0: 0} {
		if got := awsauth.RenewAt(now, now.Add(life)).Sub(now); got != want {
			t.Errorf("%v: %v, want %v", life, got, want)
		}
	}
	if got := awsauth.RenewAt(now, now.AddDate(5000, 0, 0)); !got.After(now.AddDate(100, 0, 0)) {
		t.Errorf("a life that is too long for a duration: %v", got)
	}
}

// explained is what is said of a call that fails.
func explained(t *testing.T, l *awsauth.Login) *resolver.Error {
	t.Helper()
	cfg, err := l.Config(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err == nil {
		t.Fatal("the call succeeds")
	}
	return l.Explain(t.Context(), err, nil, func(*resolver.Error) {})
}

func TestTheTokenOfAPodIsReadAtEachLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := awsfake.New(awsfake.Options{})
		o := unconnected(t, fake, awsauth.IRSA)
		path := filepath.Join(t.TempDir(), "token")
		write := func(token string) {
			fake.SetWebIdentityToken(token)
			if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o.Getenv = func(name string) string {
			return map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/other", "AWS_WEB_IDENTITY_TOKEN_FILE": path}[name]
		}
		o.RoleARN = awsfake.RoleARN // before that of the environment
		l := login(t, o)
		write("first-token")
		first := keyID(t, l)
		write("second-token")
		if keyID(t, l) != first {
			t.Error("logged in again before it was due")
		}
		time.Sleep(time.Hour * 8 / 10) // STS gives an hour unless asked
		if keyID(t, l) == first {
			t.Error("not logged in again when it was due")
		}
		for _, r := range fake.Requests() {
			if r.SecretIDs[0] != awsfake.RoleARN || r.Status != 200 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestSessionOfARole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*awsauth.Options)
		want   string
	}{
		"is named kz":               {func(*awsauth.Options) {}, "arn:aws:sts::123456789012:assumed-role/reader/kz"},
		"or as the backend says":    {func(o *awsauth.Options) { o.SessionName = "nightly" }, "arn:aws:sts::123456789012:assumed-role/reader/nightly"},
		"and starts from the chain": {func(o *awsauth.Options) { o.AccessKeyID, o.SecretAccessKey = "", resolver.Secret{} }, "arn:aws:sts::123456789012:assumed-role/reader/kz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := awsfake.New(awsfake.Options{})
			o := unconnected(t, fake, awsauth.Role)
			chain := fake.Login(t, endpoint, awsauth.Default).Load
			o.Load = func(ctx context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error) {
				return chain(ctx, append(opts, config.WithHTTPClient(fake.Client()))...)
			}
			c.change(&o)
			cfg, err := login(t, o).Config(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			if err != nil || *who.Arn != c.want {
				t.Errorf("%v %v", who, err)
			}
		})
	}
}
