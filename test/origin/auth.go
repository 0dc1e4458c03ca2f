package origin

import (
	"crypto/subtle"
	"net/http"
)

// basic lets a request with the credentials of SetBasic through, and answers 401
// to others.
func (o *Origin) basic(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o.settings.mu.Lock()
		wantUser, wantPassword := o.settings.user, o.settings.password
		o.settings.mu.Unlock()
		user, password, sent := r.BasicAuth()
		if !sent || wantPassword == "" || !equal(password, wantPassword) || wantUser != "" && !equal(user, wantUser) {
			w.Header().Set("WWW-Authenticate", `Basic realm="origin"`)
			http.Error(w, "basic credentials are wrong or missing", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// bearer answers 200 to the token of SetBearer, else 401.
func (o *Origin) bearer(w http.ResponseWriter, r *http.Request) {
	o.settings.mu.Lock()
	want := o.settings.bearer
	o.settings.mu.Unlock()
	if want == "" || !equal(r.Header.Get("Authorization"), "Bearer "+want) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="origin", error="invalid_token"`)
		http.Error(w, "the token is wrong or missing", http.StatusUnauthorized)
		return
	}
	ok(w, r)
}

// flaky answers status= (503) to the first times= (1) requests with the same
// key=, and 200 afterwards.
func (o *Origin) flaky(w http.ResponseWriter, r *http.Request) {
	p := query(r)
	code, times := p.number("status", 503), p.number("times", 1)
	if p.bad(w) {
		return
	}
	o.settings.mu.Lock()
	o.settings.failures[p.Get("key")]++
	n := o.settings.failures[p.Get("key")]
	o.settings.mu.Unlock()
	if int64(n) <= times {
		w.WriteHeader(int(code))
		return
	}
	ok(w, r)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
