package test

import (
	"strings"
	"testing"
)

// TestArchitectureFindsFaults holds check itself to its word.
func TestArchitectureFindsFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, text, want string }{
		{"a lower package that imports another", "masking/x.go", `package masking; import "kz/resolver"`, "must not import kz/resolver"},
		{"policy that imports masking", "proxy/policy/x.go", `package policy; import "kz/masking"`, "must not import kz/masking"},
		{"audit that imports policy", "proxy/audit/x.go", `package audit; import "kz/proxy/policy"`, "must not import kz/proxy/policy"},
		{"a lower package's test that imports another", "ca/x_test.go", `package ca_test; import "kz/resolver"`, "must not import kz/resolver"},
		{"a store that imports another", "resolver/awssm/x.go", `package awssm; import "kz/resolver/vault"`, "must not import kz/resolver/vault"},
		{"config that imports proxy", "cmd/kz/config/x.go", `package config; import "kz/proxy"`, "must not import kz/proxy"},
		{"proxy that imports config", "proxy/x.go", `package proxy; import "kz/cmd/kz/config"`, "must not import kz/cmd/kz/config"},
		{"product code that imports tests", "cmd/kz/cli/x.go", `package cli; import "kz/test/origin"`, "must not import kz/test/origin"},
		{"product code that imports the fakes", "cmd/kz/cli/x.go", `package cli; import "kz/resolver/resolvertest/awsfake"`, "must not import"},
		{"goproxy outside of proxy", "cmd/kz/cli/x.go", `package cli; import "github.com/elazarl/goproxy"`, "must not import github.com/elazarl/goproxy"},
		{"an SDK outside of its store", "resolver/x.go", `package resolver; import "github.com/aws/aws-sdk-go-v2/aws"`, "must not import github.com/aws"},
		{"a module whose name begins like an allowed one", "cmd/kz/cli/x.go", `package cli; import "github.com/spf13/cobra-else"`, "must not import"},
		{"masking that knows HTTP", "masking/x.go", `package masking; import "net/http"`, "has no use for net/http"},
		{"policy that reads the clock", "proxy/policy/x.go", `package policy; import "time"`, "has no use for time"},
		{"a package that is not known", "resolver/gcp/x.go", `package gcp`, "unknown package"},
		{"a package called util", "cmd/kz/cli/x.go", `package util`, "no package is called util"},
		{"an init function", "proxy/x.go", `package proxy; func init() {}`, "init functions"},
		{"certificates taken unseen", "proxy/x.go", `package proxy; import "crypto/tls"; var c = tls.Config{InsecureSkipVerify: true}`, "InsecureSkipVerify"},
		{"certificates taken unseen on a condition", "proxy/x.go", `package proxy; func f(a bool) { c.InsecureSkipVerify = a }`, "InsecureSkipVerify"},
		{"goproxy's own CA", "proxy/x.go", `package proxy; import "github.com/elazarl/goproxy"; var c = goproxy.GoproxyCa`, "its private key is public"},
		{"goproxy under another name", "proxy/x.go", `package proxy; import g "github.com/elazarl/goproxy"; var c = g.MitmConnect`, "goproxy's own CA"},
		{"the default HTTP client", "proxy/x.go", `package proxy; import "net/http"; var c = http.DefaultClient`, "from the environment"},
		{"a file past the limit", "proxy/x.go", "package proxy\n" + strings.Repeat("\n", maxLines), "must be a reason"},
		{"a file that does not parse", "proxy/x.go", "package", "expected"},
	} {
		t.Run(c.name+" is a fault", func(t *testing.T) {
			t.Parallel()
			faults := check([]source{{c.file, []byte(c.text)}})
			if len(faults) != 1 || !strings.Contains(faults[0], c.want) {
				t.Errorf("faults %q, want one with %q", faults, c.want)
			}
		})
	}
	for _, c := range []struct{ name, file, text string }{
		{"proxy joins the lower packages", "proxy/x.go", `package proxy; import (_ "kz/masking"; _ "kz/resolver"; _ "kz/ca"; _ "kz/proxy/policy"; _ "kz/proxy/audit"; _ "github.com/elazarl/goproxy")`},
		{"a test uses its own package and the fakes", "resolver/awssm/x_test.go", `package awssm_test; import (_ "kz/resolver/awssm"; _ "kz/resolver/resolvertest/awsfake"; _ "kz/test/canary")`},
		{"verification is forced on", "resolver/vault/x.go", `package vault; func f() { c.InsecureSkipVerify = false }`},
		{"a method called init", "proxy/x.go", `package proxy; func (p *Proxy) init() {}`},
		{"tests may skip verification", "proxy/x_test.go", `package proxy; var c = tls.Config{InsecureSkipVerify: true}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if faults := check([]source{{c.file, []byte(c.text)}}); len(faults) > 0 {
				t.Errorf("faults %q", faults)
			}
		})
	}
}
