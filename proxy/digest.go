package proxy

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"kz/masking/fields"
)

// digestHeaders hold a digest of, or a signature over, the body. A swap makes them wrong.
var digestHeaders = []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "X-Amz-Content-Sha256", "X-Goog-Hash",
	"Signature-Input", "X-Hub-Signature", "X-Hub-Signature-256", "Content-Crc32c", "X-Content-Sha256", "X-Ms-Content-Sha256",
	"X-Ms-Content-Crc64", "X-Ms-Blob-Content-Md5", "X-Bz-Content-Sha1", "X-Signature", "X-Signature-256", "X-Signature-Ed25519",
	"X-Slack-Signature", "Stripe-Signature", "X-Shopify-Hmac-Sha256", "X-Twilio-Signature", "X-Line-Signature", "Webhook-Signature"}

// isDigest reports whether the header of this canonical name is one of them; AWS has one for each algorithm.
func isDigest(name string) bool {
	return slices.Contains(digestHeaders, name) || strings.HasPrefix(name, "X-Amz-Checksum-")
}

// presentDigests are the digests of the body that r has, or announces for behind it.
func presentDigests(r *http.Request) []string {
	var found []string
	for name, v := range r.Header {
		if isDigest(name) && strings.Join(v, "") != "" && !(name == "X-Amz-Content-Sha256" && unsigned(v)) {
			found = append(found, name)
		}
	}
	for name := range r.Trailer {
		if isDigest(name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// digestRefusal is why a swap in the body of r cannot be; nil when it can.
func (b *requestBody) digestRefusal(r *http.Request) *refusal {
	if scheme := b.signed(r); scheme != "" {
		return b.x.signatureRefusal(b.only(), scheme)
	}
	found := presentDigests(r)
	if len(found) == 0 {
		return nil
	}
	host := b.x.scope.name
	return &refusal{Code: codeSignatureUnsupported, Secret: b.only(), Host: host, Hint: "send the request without " + strings.Join(found, ", "),
		Message: "request to " + host + ": a swap in the body would make " + strings.Join(found, ", ") + " wrong"}
}

// signed names the signature that covers the body of r; "" when none does. OAuth 1.0 may have its own in a form.
func (b *requestBody) signed(r *http.Request) string {
	if b.format == fields.Form && bytes.Contains(b.original, []byte("oauth_signature=")) {
		return "OAuth 1.0"
	}
	s := signaturesOf(r.Header)
	return s.body(r.Header)
}
