package proxy_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
)

func TestAMemberOfGzipDoesNotWaitForTheNext(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		for line := range next {
			_, _ = io.WriteString(w, coded(t, "gzip", line))
			w.(http.Flusher).Flush()
		}
	}))
	go func() { next <- "one\n" }()
	resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, send := range []string{"two\n", "three\n", ""} {
		// A line that waits for what comes after it never comes.
		if got, err := lines.ReadString('\n'); err != nil || got == "" {
			t.Fatalf("%q, %v", got, err)
		}
		if send != "" {
			next <- send
		}
	}
	close(next)
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("at the end %q, %v", rest, err)
	}
}
