package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"kz/resolver"
)

// A value may be learned while a body is read whole, or trailers are waited for.
func TestAValueLearnedWhileAnAnswerIsHeldIsScrubbed(t *testing.T) {
	t.Parallel()
	const next = "rotated-value-8c1e"
	p, x := frameProxy(t)
	x.scrub, x.w = p.scrubbers(), &responseWriter{}
	if err := p.Learn("KEY", resolver.NewSecret(next)); err != nil {
		t.Fatal(err)
	}
	mask := p.opts.Table.Token("KEY")
	t.Run("in the body and the trailers of a held answer", func(t *testing.T) {
		resp := &http.Response{Header: http.Header{}, Trailer: http.Header{"X-End": {next}}}
		x.hold(resp, []byte("new "+next+" old "+frameValue), false, io.NopCloser(nil))
		got, err := io.ReadAll(resp.Body)
		if want := "new " + mask + " old " + mask; string(got) != want || err != nil || resp.Trailer.Get("X-End") != mask {
			t.Errorf("got %q, %v, %v", got, err, resp.Trailer)
		}
	})
	t.Run("in the trailers of an answer without a body", func(t *testing.T) {
		resp := &http.Response{Body: io.NopCloser(strings.NewReader("")), Trailer: http.Header{"X-End": {next}}}
		if x.receiveEnd(resp); resp.Trailer.Get("X-End") != mask {
			t.Errorf("got %v", resp.Trailer)
		}
	})
}
