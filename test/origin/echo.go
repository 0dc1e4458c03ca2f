package origin

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// echo answers with the request:
//
//	as=text   the request line, the headers and the body (the default)
//	as=json   {"method","target","host","proto","headers":{"Name":["v"]},"body":"…"}
//	as=body   the body alone, streamed, with its Content-Type
//
// text and json hold at most 1 MiB of body (413 beyond).
func echo(w http.ResponseWriter, r *http.Request) { echoCoded(w, r, "") }

// echoAuto is echo in the first coding of Accept-Encoding that it knows.
func echoAuto(w http.ResponseWriter, r *http.Request) {
	coding := "identity"
	for _, c := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		c, q, _ := strings.Cut(strings.TrimSpace(c), ";")
		if q = strings.ReplaceAll(q, " ", ""); q == "q=0" || q == "q=0.0" || !slices.Contains([]string{"gzip", "deflate", "br", "zstd"}, c) {
			continue
		}
		coding = c
		break
	}
	w.Header().Set("Vary", "Accept-Encoding")
	echoCoded(w, r, coding)
}

func echoCoded(w http.ResponseWriter, r *http.Request, coding string) {
	if query(r).Get("as") == "body" {
		echoBody(w, r, coding)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, KeepBody+1))
	if err != nil || len(body) > KeepBody {
		http.Error(w, fmt.Sprint("reading the body: at most 1 MiB is echoed: ", err), http.StatusRequestEntityTooLarge)
		return
	}
	var b bytes.Buffer
	if query(r).Get("as") == "json" {
		w.Header().Set("Content-Type", "application/json")
		b.Write(marshal(map[string]any{
			"method": r.Method, "target": r.RequestURI, "host": r.Host, "proto": r.Proto, "headers": r.Header, "body": string(body),
		}))
	} else {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(&b, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, v := range r.Header[name] {
				fmt.Fprintf(&b, "%s: %s\n", name, v)
			}
		}
		b.WriteByte('\n')
		b.Write(body)
	}
	out, err := newWriter(w, r, coding)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !out.Encoded() {
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	}
	_, _ = out.Write(b.Bytes())
	_ = out.Close()
}

func echoBody(w http.ResponseWriter, r *http.Request, coding string) {
	if t := r.Header.Get("Content-Type"); t != "" {
		w.Header().Set("Content-Type", t)
	}
	out, err := newWriter(w, r, coding)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !out.Encoded() && r.ContentLength >= 0 && query(r).Get("chunked") == "" {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	_ = http.NewResponseController(w).EnableFullDuplex()
	if _, err := io.Copy(onlyWriter{out}, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = out.Close()
}

// onlyWriter hides ReadFrom.
type onlyWriter struct{ io.Writer }

// status answers /status/N, with N as the body, or without one where N has none.
func status(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/"))
	if err != nil || n < 200 || n > 999 {
		http.Error(w, "a status is a number from 200 to 999", http.StatusBadRequest)
		return
	}
	w.WriteHeader(n)
	if n != http.StatusNoContent && n != http.StatusNotModified {
		fmt.Fprintln(w, n)
	}
}

// takeContinue reads the body, which makes the server say 100 first.
func takeContinue(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	writeJSON(w, http.StatusOK, map[string]any{"expect": r.Header.Get("Expect"), "length": n})
}

// refuseContinue answers 417 and never reads the body.
func refuseContinue(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusExpectationFailed)
}
