package resolver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"kz/resolver"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*resolver.Error{
		"not found": {Kind: resolver.NotFound},
		`resolving A_KEY: aws: not found: there is no secret "x" (status 400, ResourceNotFoundException)`: {
			Kind: resolver.NotFound, Secret: "A_KEY", Backend: "aws", Status: 400, Code: "ResourceNotFoundException", Message: `there is no secret "x"`},
		"vault: unavailable (status 503)":                                         {Kind: resolver.Unavailable, Backend: "vault", Status: 503},
		"unavailable: Vault is sealed (sealed)":                                   {Kind: resolver.Unavailable, Code: "sealed", Message: "Vault is sealed"},
		`field missing: no "q"; its keys are a, "b c", "d\ne", ""`:                {Kind: resolver.FieldMissing, Message: `no "q"`, Keys: []string{"a", "b c", "d\ne", ""}},
		"field missing; its keys are " + strings.Repeat("k", 64) + "…":            {Kind: resolver.FieldMissing, Keys: []string{strings.Repeat("k", 90)}},
		"field missing; its keys are " + strings.Repeat("k, ", 20) + "and 5 more": {Kind: resolver.FieldMissing, Keys: strings.Split(strings.Repeat("k", 25), "")},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestErrorIsItsKind(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("starting: %w", &resolver.Error{Kind: resolver.TimedOut, Err: context.DeadlineExceeded, Advice: "try again"})
	if !errors.Is(err, resolver.TimedOut) || errors.Is(err, resolver.NotFound) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("errors.Is")
	}
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || hint.Hint() != "try again" {
		t.Error("no hint")
	}
	if resolver.KindOf(err) != resolver.TimedOut || resolver.KindOf(nil) != "" || resolver.KindOf(io.EOF) != resolver.Unavailable {
		t.Error("KindOf")
	}
	if resolver.NotFound.Error() != "resolver: not found" {
		t.Error(resolver.NotFound.Error())
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://user:" + canary + "@host/" + canary, Err: fmt.Errorf("%s: %w", canary, err)}
	}
	for name, c := range map[string]struct {
		err  error
		kind resolver.Kind
		text string
	}{
		"a deadline":               {context.DeadlineExceeded, resolver.TimedOut, "time limit"},
		"a socket's deadline":      {os.ErrDeadlineExceeded, resolver.TimedOut, "time limit"},
		"a cancellation":           {context.Canceled, resolver.Unavailable, "canceled"},
		"an unknown host":          {&net.DNSError{Err: "no such host", Name: canary}, resolver.Unavailable, "host name"},
		"a refused connection":     {syscall.ECONNREFUSED, resolver.Unavailable, "connection refused"},
		"an unknown authority":     {x509.UnknownAuthorityError{}, resolver.Unavailable, "unknown authority"},
		"another host's":           {x509.HostnameError{Certificate: &x509.Certificate{}, Host: canary}, resolver.Unavailable, "another host name"},
		"an expired certificate":   {x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired}, resolver.Unavailable, "not valid"},
		"no TLS":                   {tls.RecordHeaderError{Msg: canary}, resolver.Unavailable, "does not speak TLS"},
		"no TLS, as net/http says": {errors.New("http: server gave HTTP response to HTTPS client"), resolver.Unavailable, "does not speak TLS"},
		"a refused handshake":      {tls.AlertError(40), resolver.Unavailable, "TLS handshake"},
		"an answer cut short":      {io.ErrUnexpectedEOF, resolver.Unavailable, "closed the connection"},
		"anything else":            {errors.New(canary), resolver.Unavailable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := resolver.Transport(wrap(c.err))
			if e.Kind != c.kind || !strings.Contains(e.Error(), c.text) {
				t.Error(e)
			}
			if name == "an unknown authority" && !strings.Contains(e.Hint(), "trust store") {
				t.Errorf("the hint is %q", e.Hint())
			}
			clean(t, "the error", fmt.Sprintf("%v %+v %#v %s %v", e, e, e, e.Hint(), e.Err))
		})
	}
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		kind resolver.Kind
	}{
		{&fs.PathError{Err: fs.ErrNotExist}, resolver.NotFound},
		{&fs.PathError{Err: syscall.EACCES}, resolver.AccessDenied},
		{context.DeadlineExceeded, resolver.TimedOut},
		{errors.New(canary), resolver.Unavailable},
	} {
		e := resolver.File("some/path", c.err)
		if e.Kind != c.kind {
			t.Error(e)
		}
		clean(t, "the error", fmt.Sprintf("%v %#v", e, e))
	}
}
