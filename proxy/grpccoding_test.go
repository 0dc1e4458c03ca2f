package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"

	"kz/proxy/audit"
)

func TestCompressedMessagesOfGRPC(t *testing.T) {
	t.Parallel()
	b := newBed(t, serveGRPC(func(s grpc.ServerStream) error {
		var m []byte
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
		return s.SendMsg(&m)
	}))
	ctx, conn := b.dialGRPC(rawCalls())
	for name, text := range map[string]string{
		"short": "short", "that shrinks": strings.Repeat("a text that shrinks ", 100_000), "that does not": noiseText(200_000), "of nothing": "",
		"with a value": "text " + keyValue + " text", "that shrinks, with values": strings.Repeat("a text with "+keyValue, 100_000), "that ends like a value begins": "text " + keyValue[:15],
	} {
		want := strings.ReplaceAll(text, keyValue, b.mask("KEY")[:len(keyValue)])
		in, out := []byte(text), []byte(nil)
		if err := conn.Invoke(ctx, "/test/Unary", &in, &out, grpc.UseCompressor(gzip.Name)); err != nil || string(out) != want {
			t.Errorf("a message %s: %d bytes of %d: %v", name, len(out), len(want), err)
		}
	}
}

// askFor sends a gRPC request, with a swap, and gives what came of the answer.
func askFor(t *testing.T, b *bed, kind string) (resp *http.Response, got string, err error) {
	t.Helper()
	resp, err = b.newClient(true).Do(b.request("POST", "https://api.test/", "x", "Content-Type: "+kind, "Authorization: Bearer "+b.mask("KEY")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	return resp, string(p), err
}

func TestCompressedMessagesAreReadInEveryCodingAndProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, header, coding string }{
		{"application/grpc", "Grpc-Encoding", "gzip"}, {"application/grpc+proto", "Grpc-Encoding", "deflate"}, {"application/grpc", "Grpc-Encoding", "br"},
		{"application/grpc", "Grpc-Encoding", "zstd"}, {"application/grpc-web+proto", "Grpc-Encoding", "gzip"},
		{"application/connect+json", "Connect-Content-Encoding", "gzip"}, {"application/connect+proto", "Connect-Content-Encoding", "zstd"},
	} {
		t.Run(c.kind+" in "+c.coding, func(t *testing.T) {
			t.Parallel()
			clean := envelope(1, coded(t, c.coding, strings.Repeat("nothing in it ", 1000)))
			text := strings.Repeat("in front of ", 1000) + keyValue + " and behind"
			body := envelope(0, "plain "+keyValue) + clean + envelope(1, coded(t, c.coding, text)) + clean + envelope(0, "") + envelope(3, coded(t, c.coding, `{"end":"`+keyValue+`"}`))
			b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set(c.header, c.coding)
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				_, _ = io.WriteString(w, body)
			}))
			resp, got, err := askFor(t, b, c.kind)
			filler := b.mask("KEY")[:len(keyValue)]
			want := envelope(0, "plain "+filler) + clean + envelope(0, strings.ReplaceAll(text, keyValue, filler)) + clean + envelope(0, "") + envelope(2, `{"end":"`+filler+`"}`)
			if err != nil || got != want || resp.Header.Get(c.header) != c.coding {
				t.Errorf("%v: got %d bytes, want %d: %.200q", err, len(got), len(want), got)
			}
			e := b.event(func(e audit.Event) bool { return e.Status == 200 })
			if fmt.Sprint(e.Scrubbed) != "[{KEY body 3}]" {
				t.Errorf("the audit says %+v", e.Scrubbed)
			}
		})
	}
}

func TestCompressedMessagesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	z := coded(t, "gzip", strings.Repeat("text ", 100)+keyValue)
	stored := string([]byte{0, 21, 0, ^byte(21), 0xff}) + keyValue // a deflate block, as it is
	for name, c := range map[string]struct{ header, body string }{
		"cut":                            {"gzip", envelope(1, z[:len(z)-9])},
		"cut in its frame":               {"gzip", envelope(1, z)[:len(z)]},
		"of another coding":              {"br", envelope(1, z)},
		"of no coding":                   {"gzip", envelope(1, "text")},
		"that goes on":                   {"gzip", envelope(1, z+"x")},
		"with a value as it is":          {"deflate", envelope(1, stored)},
		"too long":                       {"gzip", envelope(1, coded(t, "gzip", noiseText(5<<20+1)))},
		"that becomes too long":          {"gzip", envelope(1, coded(t, "gzip", strings.Repeat("\x00", 64<<20+1)))},
		"with a value, by way of a bomb": {"gzip, gzip", envelope(1, coded(t, "gzip", coded(t, "gzip", keyValue+strings.Repeat("\x00", 65<<20))))},
	} {
		t.Run(name+" end the transfer", func(t *testing.T) {
			t.Parallel()
			b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set("Grpc-Encoding", c.header)
				_, _ = io.WriteString(w, envelope(0, "first")+c.body)
			}))
			_, got, err := askFor(t, b, "application/grpc")
			if err == nil || strings.Contains(got, keyValue) || len(got) > 5+5 {
				t.Errorf("%v, and %d bytes came", err, len(got))
			}
		})
	}
	for kind, coding := range map[string]string{"application/grpc": "snappy", "application/connect+proto": "snappy", "application/grpc-web-text+proto": "gzip"} {
		for swapped, want := range map[bool]int{true: http.StatusBadGateway, false: http.StatusOK} {
			t.Run(fmt.Sprintf("in a coding that is not undone, %s, swapped: %v", kind, swapped), func(t *testing.T) {
				t.Parallel()
				body := envelope(1, "of a coding of its own")
				b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", kind)
					w.Header().Set("Grpc-Encoding", coding)
					w.Header().Set("Connect-Content-Encoding", coding)
					_, _ = io.WriteString(w, body)
				}))
				r := b.request("POST", "https://api.test/", "x", "Content-Type: "+kind)
				if swapped {
					r.Header.Set("Authorization", "Bearer "+b.mask("KEY"))
				}
				a := b.do(r)
				if a.StatusCode != want || swapped != (a.Header.Get("Kz-Error") == "response_unscannable") || !swapped && a.body != body {
					t.Errorf("%d %s: %q", a.StatusCode, a.Header.Get("Kz-Error"), a.body)
				}
			})
		}
	}
}
