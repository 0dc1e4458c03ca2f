package proxy_test

import (
	"net/http"
	"testing"

	"kz/proxy/policy"
)

func TestALateRejectionIsJudgedByThePolicyOfThatTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hosts   []string
		deny    []string
		status  int
		sent    int32
		fetched int
	}{
		"the same":                  {[]string{"api.test"}, nil, 200, 2, 2},
		"one without that host":     {[]string{"other.test"}, nil, 401, 1, 1},
		"one that denies that host": {[]string{"api.test"}, []string{"api.test"}, 401, 1, 1},
		"one without that secret":   {nil, nil, 401, 1, 1},
	} {
		for proto, h2 := range map[string]bool{"HTTP/1.1": false, "h2": true} {
			t.Run(name+", by "+proto, func(t *testing.T) {
				t.Parallel()
				ro := newRotation(t)
				ro.client = ro.newClient(h2)
				set := func(deny []string, host ...string) {
					ro.proxy.SetPolicy(policy.New([]policy.Secret{{Name: "KEY", Hosts: hosts(t, host...), Places: policy.DefaultPlaces()}}, policy.Egress{InterceptAll: true, Deny: hosts(t, deny...)}))
				}
				set(nil, "api.test")
				ro.rotate()
				ro.reject = func(w http.ResponseWriter, _ *http.Request) {
					set(c.deny, c.hosts...)
					w.WriteHeader(http.StatusUnauthorized)
				}
				ro.expect("a GET", ro.do(ro.keyed("GET", "")), c.status, c.sent, c.fetched)
			})
		}
	}
}
