package proxy

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kz/proxy/audit"
	"kz/proxy/policy"
)

func TestWhenASilentClientIsRecorded(t *testing.T) {
	t.Parallel()
	at := policy.Authority{Host: "api.test", Port: 443}
	other := policy.Authority{Host: "other.test", Port: 443}
	for name, c := range map[string]struct {
		do   func(w *wordless, went func(policy.Authority))
		want int64
	}{
		"after two seconds without a request":   {func(_ *wordless, went func(policy.Authority)) { went(at) }, 1},
		"not when one has come just before":     {func(w *wordless, went func(policy.Authority)) { w.request(at); time.Sleep(time.Second); went(at) }, 0},
		"not when one comes just after":         {func(w *wordless, went func(policy.Authority)) { went(at); time.Sleep(time.Second); w.request(at) }, 0},
		"when one came long before":             {func(w *wordless, went func(policy.Authority)) { w.request(at); time.Sleep(3 * time.Second); went(at) }, 1},
		"when one came to another host":         {func(w *wordless, went func(policy.Authority)) { w.request(other); went(at); w.request(other) }, 1},
		"once for those of about the same time": {func(_ *wordless, went func(policy.Authority)) { went(at); time.Sleep(time.Second); went(at) }, 1},
		"again later":                           {func(_ *wordless, went func(policy.Authority)) { went(at); time.Sleep(3 * time.Second); went(at) }, 2},
		"at once when kz ends":                  {func(w *wordless, went func(policy.Authority)) { went(at); went(other); w.end() }, 2},
		"for no more hosts than are remembered": {func(_ *wordless, went func(policy.Authority)) {
			for i := range maxHeard + 5 {
				went(policy.Authority{Host: fmt.Sprintf("h%d.test", i), Port: 443})
			}
		}, maxHeard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				w := &wordless{about: aboutThen, record: func(audit.Event) { n.Add(1) }}
				c.do(w, func(a policy.Authority) { w.went(a, audit.Event{Time: time.Now()}) })
				ending := n.Load()
				time.Sleep(aboutThen)
				synctest.Wait()
				if n.Load() != c.want || name == "at once when kz ends" && ending != c.want {
					t.Errorf("it is recorded %d times, %d at first", n.Load(), ending)
				}
				for i := range maxHeard + 5 {
					w.request(policy.Authority{Host: fmt.Sprintf("h%d.test", i), Port: 443})
				}
				if len(w.heard) > maxHeard || len(w.gone) > 0 {
					t.Errorf("%d hosts are remembered, %d are waited for", len(w.heard), len(w.gone))
				}
			})
		})
	}
}
