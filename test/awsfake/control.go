package main

import (
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"kz/resolver/resolvertest/awsfake"
)

// control changes the fake while it runs:
//
//	PUT    /secrets?name=NAME     the body becomes the secret's current value; answers the version id
//	DELETE /secrets?name=NAME     the secret is gone
//	GET    /arn?name=NAME         its ARN
//	POST   /failures              a JSON awsfake.Failure, in force from now on: errors and hangs
//	DELETE /failures              all is well again, delays too
//	PUT    /delay?d=250ms         every answer waits
//	GET    /requests              the request log, as a JSON list
type control struct {
	fake  *awsfake.Server
	delay atomic.Int64 // nanoseconds
}

func newControl(fake *awsfake.Server) *control { return &control{fake: fake} }

// delayed puts the delay before next.
func (c *control) delayed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d := time.Duration(c.delay.Load()); d > 0 {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /secrets", func(w http.ResponseWriter, r *http.Request) {
		value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		name := r.URL.Query().Get("name")
		if err != nil || name == "" {
			http.Error(w, "a name and a value of at most 1 MiB are needed", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, c.fake.Put(name, string(value)))
	})
	mux.HandleFunc("DELETE /secrets", func(w http.ResponseWriter, r *http.Request) {
		c.fake.Delete(r.URL.Query().Get("name"))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /arn", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, c.fake.ARN(r.URL.Query().Get("name")))
	})
	mux.HandleFunc("POST /failures", func(w http.ResponseWriter, r *http.Request) {
		var f awsfake.Failure
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.fake.Fail(f)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /failures", func(w http.ResponseWriter, _ *http.Request) {
		c.fake.Recover()
		c.delay.Store(0)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /delay", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.URL.Query().Get("d"))
		if err != nil || d < 0 {
			http.Error(w, "d is a duration such as 250ms", http.StatusBadRequest)
			return
		}
		c.delay.Store(int64(d))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) {
		type entry struct {
			Operation   string   `json:"operation"`
			SecretIDs   []string `json:"secret_ids"`
			AccessKeyID string   `json:"access_key_id"`
			Status      int      `json:"status"`
			Code        string   `json:"code"`
		}
		list := []entry{}
		for _, r := range c.fake.Requests() {
			list = append(list, entry{r.Operation, r.SecretIDs, r.AccessKeyID, r.Status, r.Code})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	})
	return mux
}
