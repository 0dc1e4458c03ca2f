package e2e_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"kz/test/bed"
)

// TestStopLetsStreamsEnd stops kz proxy while answers stream: what ends within ten seconds comes whole, what does not is cut
// then, and is no success.
func TestStopLetsStreamsEnd(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	p := b.StartProxy()
	c := &child{Process: p.Process, env: variables(p.Env)}
	type stream struct {
		h2    bool
		path  string
		whole bool
		resp  *http.Response
	}
	var streams []*stream
	for _, h2 := range []bool{false, true} {
		streams = append(streams, &stream{h2: h2, path: "slow?n=4&body_ms=1000", whole: true}, &stream{h2: h2, path: "sse?count=100&ms=300"})
	}
	for _, s := range streams {
		client := c.client(t, s.h2)
		r, err := http.NewRequest("GET", "https://api.test/"+s.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.env["API_KEY"])
		if s.resp, err = client.Do(r); err != nil {
			t.Fatal(err)
		}
		defer s.resp.Body.Close()
	}
	began := time.Now()
	stopped := make(chan bed.Result, 1)
	go func() { stopped <- p.Stop() }()
	for _, s := range streams {
		if _, err := io.Copy(io.Discard, s.resp.Body); (err == nil) != s.whole {
			t.Errorf("%s, h2 %v, ended after %s with %v", s.path, s.h2, time.Since(began).Round(time.Second), err)
		}
	}
	end := <-stopped
	if took := time.Since(began); took < 9*time.Second || took > 20*time.Second {
		t.Errorf("kz stopped after %s", took)
	}
	end.Exits(t, 0)
	b.Clean(end)
	whole := 0
	for _, l := range b.Audit() {
		if l.Path == "/slow" && l.Reason == "" && l.BytesIn == 4 {
			whole++
		}
	}
	if n := len(b.Audit()); n != len(streams) || whole != 2 {
		t.Errorf("%d of %d lines in the audit, %d of whole answers", n, len(streams), whole)
	}
}
