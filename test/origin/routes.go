package origin

import (
	"net"
	"net/http"
	"strings"
)

// routes maps paths to what they show. A path in the list ends the search; a
// path with a trailing slash covers what is below it. Anything else is answered
// with 200 and "ok", so that tests can put what they like into a path. Paths
// are taken as they are: nothing is cleaned or redirected. Files that a test has
// set go before all of them.
//
//	/echo /echo-auto              the request, in text, JSON or as its bare body
//	/status/N                     that status
//	/bytes                        deterministic bytes, any number
//	/sink                         takes a body and answers length and hash
//	/duplex                       both at the same time
//	/mine                         a secret that must be the client's own
//	/range                        64 KiB that obey Range and If-None-Match
//	/value                        a value in some encoding, framing and coding
//	/headers /redirect /trailers /early-hints /grpc   a value in the head or the trailers
//	/basic /bearer /flaky         answers that depend on credentials or on the count
//	/sse /ndjson /slow /hang      answers that take their time
//	/cut /drop                    answers that break off
//	/continue /continue/refuse    Expect: 100-continue
//	/ws                           a WebSocket that echoes
//	/git/                         smart HTTP with Basic credentials (all of git.test)
func (o *Origin) routes() http.Handler {
	exact := map[string]http.HandlerFunc{
		"/echo":            echo,
		"/echo-auto":       echoAuto,
		"/bytes":           o.inserts(sendBytes),
		"/sink":            sink,
		"/duplex":          duplex,
		"/mine":            o.inserts(mine),
		"/range":           o.inserts(sendRange),
		"/value":           o.inserts(sendValue),
		"/headers":         o.inserts(sendHeaders),
		"/redirect":        o.inserts(redirect),
		"/trailers":        o.inserts(trailers),
		"/early-hints":     o.inserts(earlyHints),
		"/grpc":            o.inserts(grpc),
		"/basic":           o.basic(ok),
		"/bearer":          o.bearer,
		"/flaky":           o.flaky,
		"/sse":             o.inserts(serverSentEvents),
		"/ndjson":          o.inserts(ndjson),
		"/slow":            slow,
		"/hang":            o.hang,
		"/cut":             o.inserts(cut),
		"/drop":            drop,
		"/continue":        takeContinue,
		"/continue/refuse": refuseContinue,
		"/ws":              webSocket,
	}
	git := o.basic(o.gitHTTP)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		switch h := exact[r.URL.Path]; {
		case o.file(w, r):
		case strings.EqualFold(host, "git.test"), strings.HasPrefix(r.URL.Path, "/git/"):
			git(w, r)
		case h != nil:
			h(w, r)
		case strings.HasPrefix(r.URL.Path, "/status/"):
			status(w, r)
		default:
			ok(w, r)
		}
	})
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("ok\n"))
}
