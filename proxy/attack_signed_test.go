package proxy_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestASignatureThatCoversAMaskIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("header", "basic", "body", "header:Authorization", "header:Signature-Input", "query:X-Amz-Credential", "query:oauth_token", "query:key", "query:sig", "path", "body:oauth_token"))
	m := b.mask("KEY")
	const v4 = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-api-key, Signature=00"
	json, form := "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, url, body, headers string
	}{
		{"SigV4, the key's name", "/", "", "Authorization: AWS4-HMAC-SHA256 Credential=" + m + "/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"},
		{"SigV4a", "/", "", "Authorization: AWS4-ECDSA-P256-SHA256 Credential=" + m + "/20260101/s3/aws4_request, SignedHeaders=host, Signature=00"},
		{"SigV4, its session token", "/", "", v4 + "\nX-Amz-Security-Token: " + m},
		{"SigV4, a signed header", "/", "", v4 + "\nX-Api-Key: " + m},
		{"SigV4, the query", "/?key=" + m, "", v4},
		{"SigV4, the path", "/a/" + m, "", v4},
		{"SigV4, the body", "/", `{"token":"` + m + `"}`, v4 + "\n" + json},
		{"SigV4 in the query", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + m + "%2F20260101&X-Amz-Signature=00", "", ""},
		{"SigV4 in the query, a parameter not declared", "/?X-Amz-Security-Token=" + m + "&X-Amz-Signature=00", "", ""},
		{"a presigned URL of Google", "/?key=" + m + "&X-Goog-Signature=00", "", ""},
		{"a presigned URL of CloudFront", "/?key=" + m + "&Signature=00&Key-Pair-Id=1", "", ""},
		{"a shared access signature", "/?sv=2024&sig=" + m, "", ""},
		{"AWS, version 2", "/", "", "Authorization: AWS " + m + ":sig="},
		{"Signature", "/", "", `Authorization: Signature keyId="` + m + `",algorithm="hmac-sha256",signature="x"`},
		{"Signature over a header", "/", "", "Authorization: Signature keyId=\"k\",headers=\"date x-api-key\",signature=\"x\"\nX-Api-Key: " + m},
		{"hmac", "/", "", `Authorization: hmac username="` + m + `", signature="x"`},
		{"Hawk", "/", "", `Authorization: Hawk id="` + m + `", mac="x"`},
		{"Hawk over the body", "/", `{"token":"` + m + `"}`, "Authorization: Hawk id=\"k\", hash=\"h\", mac=\"x\"\n" + json},
		{"Digest", "/", "", `Authorization: Digest username="` + m + `", response="x"`},
		{"OAuth 1.0", "/", "", `Authorization: OAuth oauth_consumer_key="` + m + `", oauth_signature="x"`},
		{"OAuth 1.0, the query", "/?key=" + m, "", `Authorization: OAuth oauth_consumer_key="k", oauth_signature="x"`},
		{"OAuth 1.0 in the query", "/?oauth_token=" + m + "&oauth_signature=x", "", ""},
		{"OAuth 1.0 in a form", "/", "oauth_token=" + m + "&oauth_signature=x", form},
		{"SharedKey", "/", "", "Authorization: SharedKey " + m + ":sig="},
		{"SharedKeyLite", "/", "", "Authorization: SharedKeyLite " + m + ":sig="},
		{"SharedKey over a header", "/", "", "Authorization: SharedKey account:sig=\nX-Ms-Meta-Key: " + m},
		{"HTTP message signature, the key's name", "/", "", "Signature: s=:x:\nSignature-Input: s=(\"@method\");keyid=\"" + m + `"`},
		{"HTTP message signature over a header", "/", "", "Authorization: Bearer " + m + "\nSignature: s=:x:\nSignature-Input: s=(\"authorization\");keyid=\"k\""},
		{"HTTP message signature over the query", "/?key=" + m, "", "Signature: s=:x:\nSignature-Input: s=(\"@query\");keyid=\"k\""},
		{"HTTP message signature over a body", "/", `{"token":"` + m + `"}`, "Signature: s=:x:\nSignature-Input: s=(\"content-digest\");keyid=\"k\"\nContent-Digest: sha-256=:x:\n" + json},
		{"DPoP over the token", "/", "", "Authorization: DPoP " + m + "\nDPoP: e30.e30.x"},
	} {
		headers := strings.Split(c.headers, "\n")
		if c.headers == "" {
			headers = nil
		}
		method := "GET"
		if c.body != "" {
			method = "POST"
		}
		e := b.refused(b.do(b.request(method, "https://api.test"+c.url, c.body, headers...)), 403, "signature_unsupported")
		if e.Secret != "KEY" || !strings.Contains(e.Message, "api.test") {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
	b.nothingSent()
	// What no signature covers is swapped.
	for _, c := range []struct{ name, url, body, headers string }{
		{"SigV4, another header", "/", "", strings.Replace(v4, ";x-api-key", "", 1) + "\nX-Api-Key: " + m},
		{"SigV4, a header of a longer name", "/", "", v4 + "\nX-Api: " + m},
		{"SigV4, a body that is not signed", "/", `{"token":"` + m + `"}`, v4 + "\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\n" + json},
		{"a parameter called signature", "/?signature=00&key=" + m, "", ""},
		{"a signed query, a header", "/?X-Amz-Signature=00", "", "X-Api-Key: " + m},
		{"HTTP message signature over another header", "/", "", "Authorization: Bearer " + m + "\nSignature: s=:x:\nSignature-Input: s=(\"@method\" \"date\");keyid=\"k\""},
		{"a scheme alone", "/", "", "Authorization: Signature " + m},
		{"a token of OAuth, the query", "/?key=" + m, "", "Authorization: OAuth abc"},
		{"a token of OAuth, the body", "/", `{"token":"` + m + `"}`, "Authorization: OAuth abc\n" + json},
	} {
		headers := strings.Split(c.headers, "\n")
		if c.headers == "" {
			headers = nil
		}
		method := "GET"
		if c.body != "" {
			method = "POST"
		}
		a := b.do(b.request(method, "https://api.test"+c.url, c.body, headers...))
		if a.StatusCode != 200 {
			t.Errorf("%s: %s", c.name, a.body)
			continue
		}
		if got := b.upstreamGot(); !strings.Contains(got.r.RequestURI+fmt.Sprint(got.r.Header)+got.body, keyValue) {
			t.Errorf("%s: the upstream received %s %v %q", c.name, got.r.RequestURI, got.r.Header, got.body)
		}
	}
	// A host that the secret is not bound to is the stronger objection.
	b.refused(b.do(b.request("GET", "https://other.test/", "", "Authorization: AWS4-HMAC-SHA256 Credential="+m+"/x, Signature=00")), 403, "host_not_bound")
}

func TestADigestOfABodyThatIsSwappedIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	body := `{"token":"` + b.mask("KEY") + `"}`
	for _, digest := range []string{"Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "X-Amz-Content-Sha256", "X-Amz-Checksum-Sha256", "X-Amz-Checksum-Crc32", "X-Goog-Hash", "Content-Crc32c",
		"X-Ms-Content-Sha256", "X-Hub-Signature-256", "X-Slack-Signature", "Stripe-Signature", "X-Shopify-Hmac-Sha256"} {
		e := b.refused(b.do(b.request("POST", "https://api.test/", body, "Content-Type: application/json", digest+": x")), 403, "signature_unsupported")
		if !strings.Contains(strings.ToLower(e.Hint), strings.ToLower(digest)) || e.Secret != "KEY" {
			t.Errorf("%s: %+v", digest, e)
		}
		// Nothing changes: it is right.
		if a := b.do(b.request("POST", "https://api.test/", `{"token":"none"}`, "Content-Type: application/json", digest+": x")); a.StatusCode != 200 {
			t.Errorf("%s, without a mask: %s", digest, a.body)
		}
		b.upstreamGot()
	}
	r := b.request("POST", "https://api.test/", body, "Content-Type: application/json")
	r.Header["X-Amz-Content-Sha256"] = []string{"UNSIGNED-PAYLOAD", "ab"}
	b.refused(b.do(r), 403, "signature_unsupported")
	r = b.request("POST", "https://api.test/", body, "Content-Type: application/json")
	r.ContentLength, r.Trailer = -1, map[string][]string{"Content-Digest": {"sha-256=:x:"}}
	b.refused(b.do(r), 403, "signature_unsupported")
	b.nothingSent()
}
