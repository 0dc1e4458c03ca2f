package gcpsm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/compute/metadata"
	"golang.org/x/sync/singleflight"

	"kz/resolver"
)

// scope is the one that Secret Manager takes.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// maxKeyFile bounds the file of a key, which has about 2 KiB.
const maxKeyFile = 1 << 20

// login holds the credentials, found at the first use. The library keeps their token until shortly before its end.
type login struct {
	opt    Options
	client *http.Client

	flight singleflight.Group
	mu     sync.Mutex
	creds  *auth.Credentials
}

// grant is a token with the projects that its credentials name.
type grant struct {
	creds   *auth.Credentials
	token   resolver.Secret
	project string // of secrets whose reference names none; may be ""
	quota   string // that the calls are counted for; "": the secret's own
}

// open returns a token, logging in when it is time. One login serves all who wait for it, and goes on when one of them
// gives up.
func (l *login) open(ctx context.Context) (grant, error) {
	// A canceled caller begins no login.
	if ctx.Err() != nil {
		return grant{}, resolver.Transport(ctx.Err())
	}
	landed := l.flight.DoChan("", func() (g any, err error) {
		defer func() {
			if recover() != nil { // its text may hold anything
				err = &resolver.Error{Kind: resolver.AccessDenied, Message: "the Google credentials cannot be used", Advice: l.advice()}
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), l.opt.Timeout)
		defer cancel()
		return l.grant(ctx)
	})
	select {
	case r := <-landed:
		if r.Err != nil {
			return grant{}, r.Err
		}
		return r.Val.(grant), nil
	case <-ctx.Done():
		return grant{}, resolver.Transport(ctx.Err())
	}
}

func (l *login) grant(ctx context.Context) (grant, error) {
	l.mu.Lock()
	creds := l.creds
	l.mu.Unlock()
	if creds == nil {
		var err error
		if creds, err = l.find(); err != nil {
			return grant{}, err
		}
		l.mu.Lock()
		l.creds = creds
		l.mu.Unlock()
	}
	token, err := creds.Token(ctx)
	if err != nil || token == nil || token.Value == "" {
		l.forget(creds) // a key file that is put right is read again
		return grant{}, l.explain(ctx, err)
	}
	g := grant{creds: creds, token: resolver.NewSecret(token.Value), quota: quotaProject(creds)}
	if l.opt.Project == "" {
		g.project, _ = creds.ProjectID(ctx) // that they name none is no failure
	}
	return g, nil
}

// forget drops credentials, so that the next use looks for them anew.
func (l *login) forget(creds *auth.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.creds == creds {
		l.creds = nil
	}
}

// find looks for the credentials.
func (l *login) find() (*auth.Credentials, error) {
	o := &credentials.DetectOptions{
		Scopes: []string{scope}, Client: l.client,
		// The default one writes tokens to standard error when GOOGLE_SDK_GO_LOGGING_LEVEL says so.
		Logger: slog.New(slog.DiscardHandler),
		// No work between uses.
		DisableAsyncRefresh: true,
	}
	if l.opt.CredentialsFile == "" {
		creds, err := l.opt.Detect(o)
		if err == nil {
			return creds, nil
		}
		e := &resolver.Error{Kind: resolver.AccessDenied, Message: "no Google credentials are found", Advice: l.advice()}
		if os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "" {
			e.Message, e.Advice = "the file that GOOGLE_APPLICATION_CREDENTIALS names holds no credentials that can be used", "check that it is there, that it can be read, and that gcloud or the console made it"
		}
		return nil, e
	}
	key, err := readFile(l.opt.CredentialsFile)
	if err != nil {
		e := resolver.File(l.opt.CredentialsFile, err)
		if e.Kind == resolver.NotFound {
			e.Kind = resolver.AccessDenied // it is the login that is missing, and not the secret
		}
		if e.Advice == "" {
			e.Advice = "check credentials_file in the backend"
		}
		return nil, e
	}
	// Only a service account's key: a file of another type may name any address and file to log in with, and the approval of
	// the configuration does not cover what is in it.
	creds, err := credentials.NewCredentialsFromJSON(credentials.ServiceAccount, key, o)
	if err != nil {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "credentials_file is not the key file of a service account: " + l.opt.CredentialsFile,
			Advice: "make one (gcloud iam service-accounts keys create FILE --iam-account=…); for credentials of another kind leave credentials_file out and set GOOGLE_APPLICATION_CREDENTIALS"}
	}
	return creds, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	return text, nil
}

// quotaProject is the project that calls are counted for. User credentials need one; Google's clients take it from the
// same two places.
func quotaProject(creds *auth.Credentials) string {
	project := os.Getenv("GOOGLE_CLOUD_QUOTA_PROJECT")
	if project == "" {
		var file struct {
			Project string `json:"quota_project_id"`
		}
		_ = json.Unmarshal(creds.JSON(), &file) // there is no file on a machine of Google's
		project = file.Project
	}
	if !isProject(project) {
		return ""
	}
	return project
}

func (l *login) advice() string {
	if l.opt.CredentialsFile != "" {
		return "check that the key is not deleted (gcloud iam service-accounts keys list --iam-account=…), that the account is not disabled, and this machine's clock"
	}
	return "log in (gcloud auth application-default login), or set credentials_file or GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account"
}

// refusals are OAuth's error codes (RFC 6749, section 5.2).
var refusals = map[string]string{
	"invalid_grant": "InvalidGrant", "invalid_client": "InvalidClient", "unauthorized_client": "UnauthorizedClient", "invalid_scope": "InvalidScope",
	"invalid_request": "InvalidRequest", "unsupported_grant_type": "UnsupportedGrantType",
}

// explain says why there is no token; err may be nil.
func (l *login) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	e := &resolver.Error{Kind: resolver.AccessDenied, Message: "the Google credentials give no token", Advice: l.advice()}
	var (
		refused *auth.Error
		machine *metadata.Error
		none    metadata.NotDefinedError
	)
	switch {
	case errors.As(err, &refused):
		if refused.Response != nil {
			e.Status = refused.Response.StatusCode
		}
		var answer struct{ Error string }
		_ = json.Unmarshal(refused.Body, &answer) // an answer of another form has no code
		e.Code = refusals[answer.Error]
	case errors.As(err, &machine):
		e.Status = machine.Code
	case errors.As(err, &none):
		e.Message, e.Advice = "this machine has no service account", "attach one to it, or set credentials_file"
	case isNetwork(err):
		t := resolver.Transport(err)
		t.Message = "logging in at Google: " + t.Message
		return t
	}
	switch {
	case e.Status == http.StatusTooManyRequests:
		e.Kind, e.Advice = resolver.Throttled, "wait a little and try again"
	case e.Status >= 500:
		e.Kind, e.Advice = resolver.Unavailable, "try again; check any proxy in between"
	}
	return e
}
