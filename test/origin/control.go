package origin

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// control is the plain loopback interface to the record and the settings, for
// tests that are not in this process:
//
//	GET    /requests              the record, as a JSON list of Record; ?path= and ?host= filter,
//	                              ?wait=N blocks until N are Done (at most 10 s)
//	DELETE /requests              forget it
//	GET    /stats                 Stats
//	GET    /ca.pem                the CA certificate
//	GET    /sum?seed=&n=          SHA-256 of the bytes of /bytes?seed=&n=
//	PUT    /value?name=NAME       the body becomes that value
//	PUT    /basic?user=&password= the credentials of /basic and git.test
//	PUT    /bearer                the body becomes the token of /bearer
//	PUT    /raw/NAME?end=&split=&ms=  the body becomes that script
func (o *Origin) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /requests", o.controlRequests)
	mux.HandleFunc("DELETE /requests", func(w http.ResponseWriter, _ *http.Request) {
		o.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, o.Stats()) })
	mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(o.CAPEM()) })
	mux.HandleFunc("GET /sum", func(w http.ResponseWriter, r *http.Request) {
		p := query(r)
		n, seed := p.number("n", 1024), p.number("seed", 1)
		if !p.bad(w) {
			fmt.Fprintln(w, StreamSHA(uint64(seed), n))
		}
	})
	mux.HandleFunc("PUT /value", put(func(r *http.Request, body []byte) { o.SetValue(r.URL.Query().Get("name"), body) }))
	mux.HandleFunc("PUT /basic", put(func(r *http.Request, _ []byte) {
		o.SetBasic(r.URL.Query().Get("user"), r.URL.Query().Get("password"))
	}))
	mux.HandleFunc("PUT /bearer", put(func(_ *http.Request, body []byte) { o.SetBearer(string(body)) }))
	mux.HandleFunc("PUT /raw/{name}", put(func(r *http.Request, body []byte) {
		p := query(r)
		s := Script{Answer: body, Split: int(p.number("split", 0)), Pause: p.milliseconds("ms", 0), End: End(p.Get("end"))}
		if s.End == "" {
			s.End = EndClose
		}
		o.SetRaw(r.PathValue("name"), s)
	}))
	return mux
}

// put reads a body of at most 64 MiB and passes it on.
func put(f func(r *http.Request, body []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f(r, body)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (o *Origin) controlRequests(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Query()
	want, _ := strconv.Atoi(p.Get("wait"))
	var list []Record
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		list = slices.DeleteFunc(o.Requests(), func(r Record) bool {
			return p.Has("path") && r.Path != p.Get("path") || p.Has("host") && r.Host != p.Get("host")
		})
		done := 0
		for _, rec := range list {
			if rec.Done {
				done++
			}
		}
		if done >= want || time.Now().After(end) {
			break
		}
	}
	if list == nil {
		list = []Record{}
	}
	writeJSON(w, http.StatusOK, list)
}
