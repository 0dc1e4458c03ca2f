package proxy_test

import (
	"net/http"
	"testing"

	"kz/proxy/audit"
)

// A value that went up is in the audit, whatever became of the answer; one that did not is not.
func TestASwapThatWentUpIsRecordedWithItsRefusal(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "rot13")
	}))
	auth := "Authorization: Bearer " + b.mask("KEY")
	b.refused(b.do(b.request("GET", "https://api.test/sent", "", auth)), 502, "response_unscannable")
	e := b.event(func(e audit.Event) bool { return e.Path == "/sent" })
	if e.Kind != audit.Refusal || len(e.Swapped) != 1 || e.Swapped[0].Secret != "KEY" {
		t.Errorf("sent: %+v", e)
	}
	b.refused(b.do(b.request("GET", "https://api.test/stayed", "", auth, "Cookie2: "+b.mask("KEY")+" twice")), 403, "place_not_declared")
	e = b.event(func(e audit.Event) bool { return e.Path == "/stayed" })
	if e.Kind != audit.Refusal || len(e.Swapped) != 0 {
		t.Errorf("stayed: %+v", e)
	}
}
