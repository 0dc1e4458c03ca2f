package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"kz/proxy/policy"
)

func TestAnotherPolicyHoldsFromTheNextRequestOn(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "h2": true} {
		t.Run("over an open connection of "+name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.client = b.newClient(h2)
			get := func(host string) answer {
				return b.do(b.request(http.MethodGet, "https://"+host+"/", "", "Authorization: Bearer "+b.mask("KEY")))
			}
			set := func(egress policy.Egress, host ...string) {
				b.proxy.SetPolicy(policy.New([]policy.Secret{{Name: "KEY", Hosts: hosts(t, host...), Places: policy.DefaultPlaces()}}, egress))
			}
			sent := func() string { return b.upstreamGot().r.Header.Get("Authorization") }
			if get("api.test"); sent() != "Bearer "+keyValue {
				t.Fatal("the first policy swaps nothing")
			}

			set(policy.Egress{InterceptAll: true}, "other.test")
			b.refused(get("api.test"), http.StatusForbidden, "host_not_bound")
			b.nothingSent()
			if get("other.test"); sent() != "Bearer "+keyValue {
				t.Error("a host that is bound since gets no value")
			}

			set(policy.Egress{Deny: hosts(t, "other.test")}, "other.test")
			b.refused(get("other.test"), http.StatusForbidden, "egress_denied")
			b.nothingSent()

			set(policy.Egress{}, "api.test", "other.test")
			if a := get("api.test"); a.StatusCode != http.StatusOK || sent() != "Bearer "+keyValue || strings.Contains(a.body, keyValue) {
				t.Errorf("the policy does not come back: %d", a.StatusCode)
			}
		})
	}
}
