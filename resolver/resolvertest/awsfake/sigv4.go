package awsfake

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const algorithm = "AWS4-HMAC-SHA256"

// maxSkew is how far a signature's date may be off, as at AWS.
const maxSkew = 5 * time.Minute

// authorization takes an Authorization header of SigV4 apart.
func authorization(h http.Header) (credential []string, signedHeaders []string, signature string, ok bool) {
	rest, ok := strings.CutPrefix(h.Get("Authorization"), algorithm+" ")
	if !ok {
		return nil, nil, "", false
	}
	for part := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "Credential":
			credential = strings.Split(v, "/")
		case "SignedHeaders":
			signedHeaders = strings.Split(v, ";")
		case "Signature":
			signature = v
		}
	}
	return credential, signedHeaders, signature, len(credential) == 5 && signature != ""
}

func accessKeyID(h http.Header) string {
	credential, _, _, ok := authorization(h)
	if !ok {
		return ""
	}
	return credential[0]
}

// verify signs the request again, with the key it claims, and compares.
func (s *Server) verify(r *http.Request, c *call) (Key, *fault) {
	credential, signed, signature, ok := authorization(r.Header)
	if !ok {
		return Key{}, refused(c, "MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	key, ok := s.keyOf(credential[0])
	token := r.Header.Get("X-Amz-Security-Token")
	if !ok || token != key.SessionToken {
		return Key{}, refused(c, "UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	now := s.opt.Now()
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return Key{}, refused(c, "ExpiredTokenException", "The security token included in the request is expired")
	}
	if credential[2] != s.opt.Region || credential[3] != c.service || credential[4] != "aws4_request" {
		return Key{}, refused(c, "InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || now.Sub(at).Abs() > maxSkew || !strings.HasPrefix(r.Header.Get("X-Amz-Date"), credential[1]) {
		return Key{}, refused(c, "InvalidSignatureException", "Signature expired or not yet current.")
	}
	for _, must := range []string{"host", "x-amz-date"} {
		if !slices.Contains(signed, must) {
			return Key{}, refused(c, "InvalidSignatureException", must+" must be a signed header.")
		}
	}
	want := sign(r, c.body, key, credential, signed, at)
	if !hmac.Equal([]byte(want), []byte(signature)) {
		return Key{}, refused(c, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
	}
	return key, nil
}

func (s *Server) keyOf(id string) (Key, bool) {
	s.mu.Lock()
	key, ok := s.keys[id]
	s.mu.Unlock()
	if !ok && s.opt.Issuer != nil {
		return s.opt.Issuer.keyOf(id)
	}
	return key, ok
}

// sign returns the signature that the request should carry.
func sign(r *http.Request, body []byte, key Key, credential, signed []string, at time.Time) string {
	again := r.Clone(context.Background())
	again.URL = &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	again.Header = http.Header{}
	again.ContentLength = 0
	for _, name := range signed {
		switch {
		case name == "content-length":
			again.ContentLength = r.ContentLength
		case name == "x-amz-security-token": // the signer adds it itself
		case r.Header.Values(name) != nil:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, again, hex.EncodeToString(sum[:]), credential[3], credential[2], at); err != nil {
		return ""
	}
	_, _, signature, _ := authorization(again.Header)
	return signature
}

// refused is what a service says to a request it cannot authenticate: Secrets
// Manager answers 400, STS 403.
func refused(c *call, code, message string) *fault {
	if c.query() {
		switch code {
		case "UnrecognizedClientException":
			code = "InvalidClientTokenId"
		case "InvalidSignatureException":
			code = "SignatureDoesNotMatch"
		default:
			code = strings.TrimSuffix(code, "Exception")
		}
		return &fault{status: http.StatusForbidden, code: code, message: message}
	}
	return &fault{status: http.StatusBadRequest, code: code, message: message}
}
