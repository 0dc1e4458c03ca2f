package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kz/proxy"
	"kz/resolver"
)

func TestANewValueThatCannotBeUsedLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	for what, value := range map[string]string{
		"too short": "seven77", "too long": strings.Repeat("0123456789abcdef", 128<<10), "empty": "",
		"with a mask in it": "kz_masked_0123456789abcdef0123456789abcdef",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ro := newRotation(t)
			ro.answer = func(http.ResponseWriter, *http.Request) {}
			ro.store.Set("KEY", value)
			ro.expect("while the old one is accepted", ro.do(ro.keyed("GET", "")), 200, 1, 1)
			ro.accept("what nobody has")
			began := time.Now()
			a := ro.do(ro.keyed("GET", ""))
			ro.expect("when it is not", a, 401, 1, 2)
			if a.body != "not Bearer "+ro.mask("KEY") || time.Since(began) > 5*time.Second {
				t.Errorf("%.200s after %v", a.body, time.Since(began))
			}
			var learn *proxy.LearnError
			err := ro.cache.Refresh(t.Context(), []string{"KEY"})
			if !errors.As(err, &learn) || learn.Secret != "KEY" || learn.Hint() == "" || value != "" && strings.Contains(fmt.Sprintf("%v %+v", err, learn), value) {
				t.Errorf("it says %.200v", err)
			}
			// It is mended in the store, and used at once.
			ro.rotate()
			if _, err := ro.cache.Renew(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			ro.expect("when it is mended", ro.do(ro.keyed("GET", "")), 200, 1, 3)
		})
	}
}

func TestANewValueThatAnotherSecretHasIsScrubbed(t *testing.T) {
	t.Parallel()
	ro := newRotation(t)
	ro.store.Set("KEY", otherValue)
	ro.accept(otherValue)
	ro.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "it is "+otherValue) }
	a := ro.do(ro.keyed("GET", ""))
	ro.expect("a GET", a, 200, 2, 2)
	if a.body != "it is "+ro.mask("KEY") && a.body != "it is "+ro.mask("OTHER") {
		t.Errorf("%s", a.body)
	}
	// What was bound to one host goes to no other by that: the mask decides, not the value.
	r := ro.request("GET", "https://other.test/", "", "Authorization: Bearer "+ro.mask("KEY"))
	ro.refused(ro.do(r), 403, "host_not_bound")
}

func TestAStoreThatIsAwayClosesOneSecretAndNoOther(t *testing.T) {
	t.Parallel()
	ro := newRotation(t)
	ro.answer = func(http.ResponseWriter, *http.Request) {}
	ro.store.Fail("KEY", &resolver.Error{Kind: resolver.Unavailable, Advice: "wait"})
	other := func() *http.Request {
		return ro.request("GET", "https://other.test/", "", "Authorization: Bearer "+ro.mask("OTHER"), "X-For-The-Test: "+keyValue)
	}
	for _, c := range []struct {
		after  time.Duration
		served bool
	}{{time.Hour, true}, {time.Hour + 9*time.Minute, true}, {time.Hour + 11*time.Minute, false}} {
		ro.ahead.Store(int64(c.after))
		a := ro.do(ro.keyed("GET", ""))
		if c.served && a.StatusCode != 200 {
			t.Errorf("after %v: %d %s", c.after, a.StatusCode, a.body)
		}
		if !c.served {
			if e := ro.refused(a, 503, "secret_unavailable"); e.Secret != "KEY" || !strings.Contains(e.Message, "KEY") {
				t.Errorf("%+v", e)
			}
		}
		if a := ro.do(other()); a.StatusCode != 200 {
			t.Errorf("after %v the other secret: %d %s", c.after, a.StatusCode, a.body)
		}
	}
	ro.store.Fail("KEY", nil)
	ro.ahead.Add(int64(5 * time.Second)) // the failure is remembered for three at most
	if a := ro.do(ro.keyed("GET", "")); a.StatusCode != 200 {
		t.Errorf("when it is back: %d", a.StatusCode)
	}
}
