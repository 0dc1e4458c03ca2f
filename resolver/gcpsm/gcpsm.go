// Package gcpsm reads and writes secrets of Google Secret Manager.
//
// A reference's ID is the name of a secret in the store's project, or a full
// path: projects/P/secrets/S, projects/P/secrets/S/versions/V, and the same with
// locations/L after the project for a regional secret. Without a version it is
// the latest one; Version names another. The value is the payload as it is.
//
// Credentials are a service account's key file, or the application default
// credentials: GOOGLE_APPLICATION_CREDENTIALS, what gcloud left in the user's
// configuration, the metadata server. They come from Google's own login library.
//
// The store itself is three calls of the documented REST interface. Google's
// client is not used: it brings gRPC, protobuf and OpenTelemetry, which would
// add half again to the size of a program that does not use this store.
// https://cloud.google.com/secret-manager/docs/reference/rest
package gcpsm

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"kz/resolver"
)

// Options sets up a Store.
type Options struct {
	Project         string        // of secrets whose reference names none; "": that of the credentials
	CredentialsFile string        // a service account's key file; "": the application default credentials
	Endpoint        string        // "": Google's, regional where the secret is; else the URL of a private endpoint
	Timeout         time.Duration // of one call with its login and retries; 0 is resolver.DefaultTimeout

	// Detect finds the application default credentials. Nil: credentials.DetectDefault.
	Detect func(*credentials.DetectOptions) (*auth.Credentials, error)
	// Transport carries every request but those to the metadata server. Nil: one that obeys HTTPS_PROXY.
	Transport http.RoundTripper
}

// Store is Secret Manager as seen with one set of credentials. It is safe for concurrent use.
type Store struct {
	opt    Options
	client *http.Client
	login  *login
}

// New makes a Store. It does no I/O. All problems with the options are reported together.
func New(o Options) (*Store, error) {
	var problems []error
	if o.Project != "" && !isProject(o.Project) {
		problems = append(problems, errors.New("gcpsm: project is not the id of a project"))
	}
	if o.Endpoint != "" && !isEndpoint(o.Endpoint) {
		problems = append(problems, errors.New("gcpsm: endpoint is not of the form https://HOST, without user and path"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	o.Endpoint = strings.TrimSuffix(o.Endpoint, "/")
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Detect == nil {
		o.Detect = credentials.DetectDefault
	}
	client := newClient(o.Transport)
	return &Store{opt: o, client: client, login: &login{opt: o, client: client}}, nil
}

// isEndpoint takes an https URL, and an http one of this machine: a token goes there.
func isEndpoint(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Resolve fetches one value.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := s.fetch(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// ResolveBatch fetches each version once, eight at the same time.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, s.fetch, resolver.Field)
}

// fetch gets the whole value of a version.
func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	n, err := parseName(ref)
	if err != nil {
		return resolver.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if n, err = s.complete(ctx, n); err != nil {
		return resolver.Result{}, err
	}
	value, err := s.access(ctx, n)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.Result{Secret: resolver.NewSecret(value)}, nil
}

// complete gives a short name its project.
func (s *Store) complete(ctx context.Context, n name) (name, error) {
	if n.project == "" {
		n.project = s.opt.Project
	}
	if n.project != "" {
		return n, nil
	}
	g, err := s.login.open(ctx)
	if err != nil {
		return n, err
	}
	if n.project = g.project; n.project == "" {
		return n, &resolver.Error{Kind: resolver.InvalidReference, Message: "no Google project is known",
			Advice: `write project = "my-project" in the backend, set GOOGLE_CLOUD_PROJECT, or name the secret as projects/PROJECT/secrets/NAME`}
	}
	return n, nil
}

// access is AccessSecretVersion.
func (s *Store) access(ctx context.Context, n name) (string, error) {
	var answer struct {
		Payload *struct {
			Data string
			CRC  json.Number `json:"dataCrc32c"` // an int64, which is a string in Google's JSON
		}
	}
	c := call{method: http.MethodGet, path: n.versionPath() + ":access", name: n, again: true}
	c.check = func() bool {
		return answer.Payload == nil || intact(answer.Payload.Data, answer.Payload.CRC)
	}
	if err := s.do(ctx, c, &answer); err != nil {
		return "", err
	}
	if answer.Payload == nil {
		return "", notGoogle(http.StatusOK)
	}
	value, err := base64.StdEncoding.DecodeString(answer.Payload.Data)
	if err != nil {
		return "", notGoogle(http.StatusOK)
	}
	return string(value), nil
}

// intact tells whether a payload is what was stored: its CRC-32 is of the Castagnoli polynomial. One without a checksum is
// taken as it is; what is not base64 is not of this store, and judged elsewhere.
func intact(data string, sum json.Number) bool {
	value, err := base64.StdEncoding.DecodeString(data)
	if sum == "" || err != nil {
		return true
	}
	return sum.String() == checksum(value)
}

func checksum(value []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(value, crc32.MakeTable(crc32.Castagnoli))), 10)
}

// Check asks for the name of one secret. That the account may not list secrets
// is no failure: the answer shows that the store knows the credentials. Without
// a project it only logs in.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	g, err := s.login.open(ctx)
	if err != nil {
		return err
	}
	n := name{project: s.opt.Project}
	if n.project == "" {
		n.project = g.project
	}
	if n.project == "" {
		return nil
	}
	err = s.do(ctx, call{method: http.MethodGet, path: n.parent() + "/secrets?pageSize=1", name: n, again: true}, &struct{}{})
	var e *resolver.Error
	if errors.As(err, &e) && e.Kind == resolver.AccessDenied && e.Message == mayNotList {
		return nil
	}
	return err
}
