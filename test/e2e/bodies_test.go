package e2e_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"mime/multipart"
	"net/url"
	"os"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
	"kz/test/origin"
)

// odd is a value that every format has to escape in its own way.
func odd() string { return canary.Value("k-") + `"\/= &+%25<é` }

// TestBodies swaps a value into bodies of each format.
func TestBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		curl string
		read func(t *testing.T, r origin.Record) string
	}{
		{"a member of a JSON object", `--json "{ \"client_id\" : 1, \"client_secret\":\"$API_KEY\" , \"x\":[1.50]}"`, func(t *testing.T, r origin.Record) string {
			var body map[string]any
			if err := json.Unmarshal(r.Body, &body); err != nil {
				t.Fatalf("the body is no JSON: %v", err)
			}
			if b := string(r.Body); !strings.HasPrefix(b, `{ "client_id" : 1, "client_secret":"`) || !strings.HasSuffix(b, `" , "x":[1.50]}`) {
				t.Error("what stands around the value was changed")
			}
			return fmt.Sprint(body["client_secret"])
		}},
		{"a form's field", `-d grant_type=client_credentials -d "client_secret=$API_KEY" -d z=%7e`, func(t *testing.T, r origin.Record) string {
			form, err := url.ParseQuery(string(r.Body))
			if b := string(r.Body); err != nil || !strings.HasPrefix(b, "grant_type=client_credentials&client_secret=") || !strings.HasSuffix(b, "&z=%7e") {
				t.Errorf("what stands around the value was changed: %v", err)
			}
			return form.Get("client_secret")
		}},
		{"a part of a multipart form", `-F a=1 -F "access-token=$API_KEY" -F "file=@/etc/hostname"`, func(t *testing.T, r origin.Record) string {
			_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			form, err := multipart.NewReader(strings.NewReader(string(r.Body)), params["boundary"]).ReadForm(1 << 20)
			if err != nil || len(form.Value["a"]) != 1 || len(form.File["file"]) != 1 || len(form.Value["access-token"]) != 1 {
				t.Fatalf("the form is not what was sent: %v %v", form, err)
			}
			return form.Value["access-token"][0]
		}},
	} {
		for _, version := range []string{"--http1.1", "--http2"} {
			t.Run(c.name+" holds the value, with its exact length ("+version+")", func(t *testing.T) {
				t.Parallel()
				b := bed.New(t)
				value := odd()
				b.SecretValue("API_KEY", value, `hosts = ["api.test"]`)
				res := b.Run(shell(bed.Program(t, "curl") + ` -sS ` + version + ` ` + c.curl + ` https://api.test/echo`)...)
				res.Succeeds(t)
				b.Clean(res)
				got := received(t, b, "/echo")
				if len(got) != 1 || c.read(t, got[0]) != value {
					t.Errorf("the origin got %d requests, not one with the value", len(got))
				}
				if got[0].ContentLength != got[0].BodyLen || len(got[0].TransferEncoding) > 0 {
					t.Errorf("Content-Length %d, %v, for %d bytes", got[0].ContentLength, got[0].TransferEncoding, got[0].BodyLen)
				}
				if !mask.Match(res.Stdout) {
					t.Errorf("the echo does not come back masked:\n%s", res.Stdout)
				}
				if line := audited(t, b, "api.test", "/echo"); len(line.Swapped) != 1 || line.Swapped[0].Secret != "API_KEY" || line.Swapped[0].Place != "body" {
					t.Errorf("the audit says %+v", line)
				}
			})
		}
	}
}

// TestBasic has curl encode the mask, and kz the value.
func TestBasic(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := odd()
	b.SecretValue("API_KEY", value, `hosts = ["api.test"]`)
	b.Origin.SetBasic("user", value)
	res := b.Run(shell(bed.Program(t, "curl") + ` -sS -f -u "user:$API_KEY" https://api.test/basic`)...)
	res.Succeeds(t)
	b.Clean(res)
	if line := audited(t, b, "api.test", "/basic"); len(line.Swapped) != 1 || line.Swapped[0].Place != "basic" {
		t.Errorf("the audit says %+v", line)
	}
}

// TestAnswers has the value come back in every coding and in every form.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"--http1.1", "--http2"} {
		for _, coding := range []string{"identity", "gzip", "br", "zstd", "deflate", "raw-deflate", "gzip,br"} {
			t.Run(fmt.Sprintf("an echo in %s is masked (%s)", coding, version), func(t *testing.T) {
				t.Parallel()
				b := bed.New(t)
				b.SecretValue("API_KEY", odd(), `hosts = ["api.test"]`)
				curl := bed.Program(t, "curl") + ` -sS --compressed ` + version + ` -D head -H "X-Key: $API_KEY" `
				res := b.Run(shell(curl + `"https://api.test/echo?coding=` + coding + `"; ` + curl + `"https://api.test/echo-auto"`)...)
				res.Succeeds(t)
				b.Clean(res)
				if n := strings.Count(string(res.Stdout), "X-Key: kz_masked_"); n != 2 {
					t.Errorf("%d of 2 echoes are masked:\n%s", n, res.Stdout)
				}
				if line := audited(t, b, "api.test", "/echo"); len(line.Scrubbed) != 1 || line.Scrubbed[0].Where != "body" {
					t.Errorf("the audit says %+v", line)
				}
				got := received(t, b, "/echo-auto")
				if a := got[0].Header.Get("Accept-Encoding"); a != "deflate, gzip, br, zstd" {
					t.Errorf("the origin was asked for %q: is its answer coded?", a)
				}
				if head, err := os.ReadFile(b.Path("home/head")); err != nil || strings.Contains(strings.ToLower(string(head)), "content-encoding") {
					t.Errorf("what was decoded is not sent as such: %v\n%s", err, head)
				}
			})
		}
	}

	t.Run("a value in any form, in the body or the head, is masked", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.SecretValue("API_KEY", odd(), `hosts = ["api.test"]`)
		curl := bed.Program(t, "curl") + ` -sS --http1.1 -H "X-Key: $API_KEY" `
		script := curl + ` -w '\n%{url} is over\n'`
		var urls []string
		for _, form := range origin.Forms {
			for _, where := range []string{"/value?before=10&after=10", "/value?chunked=1&before=10&split=7", "/value?before=1100000", "/sse?count=1&split=1"} {
				urls = append(urls, "https://api.test"+where+"&from=X-Key&form="+form)
			}
		}
		script += " '" + strings.Join(urls, "' '") + "'\n"
		for _, where := range []string{"header=Set-Cookie", "header=Location", "header=X-Echo&header=Link", "reason=1", "trailer=X-Trailer", "name=1"} {
			script += curl + "-i 'https://api.test/headers?" + where + "&from=X-Key'\n"
		}
		script += curl + "-i 'https://api.test/early-hints?from=X-Key'\n"
		res := b.Run(shell(script)...)
		res.Succeeds(t)
		b.Clean(res)
		rest := string(res.Stdout)
		for _, u := range urls {
			answer, after, found := strings.Cut(rest, "\n"+u+" is over\n")
			if !found || strings.Count(answer, "kz_masked_") != 1 {
				t.Errorf("no mask came back for %s", u)
				continue
			}
			rest = after
		}
		for _, header := range []string{"Set-Cookie: session=kz_masked_", "Location: https://other.test/?token=kz_masked_", "X-Echo: kz_masked_",
			"Link: <https://other.test/kz_masked_", "X-Trailer: kz_masked_", "HTTP/1.1 200 OK"} {
			if !strings.Contains(rest, header) {
				t.Errorf("no %s", header)
			}
		}
	})
}

// TestBundle has secrets of two stores in one YAML file, in both of its forms.
func TestBundle(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	vault, aws := bed.NewVault(t), bed.NewAWS(t, awsfake.Options{})
	stripe, openai, nested := canary.Value("s-"), canary.Value("o-"), canary.Value("n-")
	vault.Put("secret/stripe", map[string]any{"value": stripe, "account": "someone"})
	aws.Put("prod/openai", openai)
	aws.Put("prod/nested", `{"a":{"token":"`+nested+`"}}`)
	b.Watch("STRIPE_KEY", stripe)
	b.Watch("OPENAI_API_KEY", openai)
	b.Watch("NESTED", nested)
	bundle := `
backends:
  vault: {type: hashicorp_vault, address: "` + vault.Addr + `"}
  aws:
    type: aws_secrets_manager
    region: us-east-1
resolvers:
  - name: openai-api-key
    mode: direct
    backend: aws
    secret_id: prod/openai
    hosts: [api.test]
  - name: nested
    env: NESTED_TOKEN
    backend: aws
    secret_id: prod/nested
    field: a.token
    hosts: ["*.wild.test"]
secrets:
  STRIPE_KEY:
    backend: vault
    path: secret/stripe
    field: value
    hosts: [other.test]
    mask: sk_live_{mask}
egress:
  allow_private: ["127.0.0.0/8"]
  upstream_ca: "` + b.Path("etc/ca.pem") + `"
  resolve:
    "api.test:443": "` + b.Origin.Addr("tls") + `"
    "other.test:443": "` + b.Origin.Addr("tls") + `"
    "*.wild.test:443": "` + b.Origin.Addr("tls") + `"
`
	if err := os.WriteFile(b.Path("etc/bundle.yaml"), []byte(bundle), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Env = append(append(b.Env, aws.Env()...), "VAULT_TOKEN="+vault.Token)
	curl := bed.Program(t, "curl") + " -sS -f "
	res := b.StartKZ("run", "--blind", "--config", b.Path("etc/bundle.yaml"), "--audit", b.AuditFile(), "--", "/bin/sh", "-c", `set -e
`+curl+`-H "Authorization: Bearer $OPENAI_API_KEY" https://api.test/aws
`+curl+`-u "$STRIPE_KEY:" https://other.test/vault
`+curl+`-H "X-Token: $NESTED_TOKEN" https://a.b.wild.test/nested || true
`+curl+`-H "X-Token: $NESTED_TOKEN" https://a.wild.test/nested
case "$STRIPE_KEY" in sk_live_kz_masked_*) ;; *) exit 9;; esac`).Wait()
	res.Succeeds(t)
	b.Clean(res)
	if got := received(t, b, "/aws"); got[0].Header.Get("Authorization") != "Bearer "+openai {
		t.Error("the origin did not get the value from AWS")
	}
	if got := received(t, b, "/nested"); got[0].Header.Get("X-Token") != nested || got[0].Host != "a.wild.test" {
		t.Error("the origin did not get the field of the value from AWS")
	}
	if user, _, _ := basicOf(received(t, b, "/vault")[0]); user != stripe {
		t.Error("the origin did not get the value from Vault")
	}
}
