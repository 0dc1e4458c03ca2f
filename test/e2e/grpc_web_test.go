package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"kz/test/grpcorigin"
)

// webCall makes calls of kz.test.Web with connect-go in one of the protocols that it speaks.
type webCall struct {
	t       *testing.T
	client  *http.Client
	token   string
	options []connect.ClientOption
}

func (w webCall) to(method string) *connect.Client[grpcorigin.Text, grpcorigin.Text] {
	return connect.NewClient[grpcorigin.Text, grpcorigin.Text](w.client, "https://other.test/kz.test.Web/"+method, w.options...)
}

func (w webCall) request(text string) *connect.Request[grpcorigin.Text] {
	r := connect.NewRequest(&grpcorigin.Text{Value: text})
	r.Header().Set("Authorization", "Bearer "+w.token)
	return r
}

// TestGRPCWebAndConnect has a client speak each protocol of its family, by both versions of HTTP where it can. Where a
// message counts its bytes, as many of the mask as there were of the value are in it.
func TestGRPCWebAndConnect(t *testing.T) {
	t.Parallel()
	b, o, value := grpcBed(t)
	c := waiting(t, b)
	token := c.env["API_KEY"]
	filler := (token + strings.Repeat("_", len(value)))[:len(value)]
	json, gzip := connect.WithProtoJSON(), connect.WithSendGzip()
	for _, p := range []struct {
		name         string
		kind         string // the Content-Type of a unary call
		options      []connect.ClientOption
		unary        string // what stands for the value in a unary answer
		unaryTrailer string
		message      string // and in the text of an error
		stream       string
	}{
		{"Connect in JSON", "application/json", []connect.ClientOption{json}, token, token, token, filler},
		{"Connect", "application/proto", nil, filler, token, token, filler},
		{"Connect in gzip", "application/proto", []connect.ClientOption{gzip}, filler, token, token, filler},
		{"gRPC-Web", "application/grpc-web+proto", []connect.ClientOption{connect.WithGRPCWeb()}, filler, filler, token, filler},
		{"gRPC-Web in JSON and gzip", "application/grpc-web+json", []connect.ClientOption{connect.WithGRPCWeb(), json, gzip}, filler, filler, token, filler},
		{"gRPC by connect-go", "application/grpc", []connect.ClientOption{connect.WithGRPC()}, filler, token, token, token},
	} {
		for _, h2 := range []bool{true, false} {
			if !h2 && strings.HasPrefix(p.name, "gRPC by") {
				continue
			}
			t.Run(fmt.Sprintf("%s, h2: %v", p.name, h2), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				w := webCall{t, c.client(t, h2), token, p.options}
				o.Reset()
				unary, err := w.to("Unary").CallUnary(ctx, w.request("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if unary.Msg.Value != "hello "+p.unary || unary.Header().Get("X-Header") != "is "+token || unary.Trailer().Get("X-Trailer") != "is "+p.unaryTrailer {
					t.Errorf("got %q, header %v, trailer %v", unary.Msg.Value, unary.Header(), unary.Trailer())
				}
				call := o.Calls()[0]
				if grpcorigin.Credential(call.Metadata) != value {
					t.Error("the origin did not get the value")
				}
				if got := call.Metadata.Get("content-type"); len(got) != 1 || got[0] != p.kind {
					t.Errorf("the call was %v, not %s", got, p.kind)
				}
				if proto := call.Metadata.Get(":protocol"); (proto[0] == "HTTP/2.0") != h2 {
					t.Errorf("the origin was spoken to by %v", proto)
				}
				_, err = w.to("Unary").CallUnary(ctx, w.request("fail"))
				var failed *connect.Error
				if !errors.As(err, &failed) || failed.Code() != connect.CodeAborted || failed.Message() != "not for "+p.message && failed.Message() != "not for "+filler {
					t.Errorf("the failure is %v", err)
				}
				w.count(ctx, p.stream)
				if h2 && !strings.HasPrefix(p.name, "gRPC-Web") {
					w.talk(ctx, value)
				}
				cut, err := w.to("Cut").CallServerStream(ctx, w.request("x"))
				if err == nil {
					for cut.Receive() {
						t.Errorf("a message that was cut came as %q", cut.Msg().Value)
					}
					err = cut.Err()
				}
				if err == nil {
					t.Error("a stream that was reset ended as if it were whole")
				}
			})
		}
	}
	b.Clean(c.Wait())
}

// count receives three messages and a trailer.
func (w webCall) count(ctx context.Context, trailer string) {
	w.t.Helper()
	s, err := w.to("Count").CallServerStream(ctx, w.request("text"))
	if err != nil {
		w.t.Error(err)
		return
	}
	n := 0
	for ; s.Receive(); n++ {
		if got := s.Msg().Value; !strings.HasPrefix(got, "text "+w.token[:10]) {
			w.t.Errorf("message %d: %q", n, got)
		}
	}
	if err := s.Err(); err != nil || n != 3 || s.ResponseTrailer().Get("X-Trailer") != "is "+trailer {
		w.t.Errorf("%d messages, %v, trailer %v", n, err, s.ResponseTrailer())
	}
}

// talk receives each message before it sends the next.
func (w webCall) talk(ctx context.Context, value string) {
	w.t.Helper()
	s := w.to("Talk").CallBidiStream(ctx)
	s.RequestHeader().Set("Authorization", "Bearer "+w.token)
	for i := range 100 {
		m := fmt.Sprint("message ", i, value[:i%7])
		if err := s.Send(&grpcorigin.Text{Value: m}); err != nil {
			w.t.Error(err)
			return
		}
		if got, err := s.Receive(); err != nil || got.Value != m {
			w.t.Errorf("message %d: %v, %v", i, got, err)
			return
		}
	}
	if err := s.CloseRequest(); err != nil {
		w.t.Error(err)
	}
	if _, err := s.Receive(); !errors.Is(err, io.EOF) {
		w.t.Errorf("at the end: %v", err)
	}
}

// TestGRPCWebText speaks the form that is base64, as browsers that cannot stream bytes do. Text is scrubbed as text: where the
// value was, the mask breaks the base64 of that one piece, which no client can take for a message.
func TestGRPCWebText(t *testing.T) {
	t.Parallel()
	b, o, value := grpcBed(t)
	c := waiting(t, b)
	call := func(h2 bool, path, kind, body string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "https://other.test"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", "Bearer "+c.env["API_KEY"])
		resp, err := c.client(t, h2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp, string(text)
	}
	message := "\x0a\x05hello"
	body := base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
	for _, h2 := range []bool{true, false} {
		for _, method := range []string{"Unary", "Count"} {
			o.Reset()
			resp, text := call(h2, "/kz.test.Web/"+method, "application/grpc-web-text+proto", body)
			if resp.StatusCode != 200 || !strings.Contains(text, c.env["API_KEY"]) || resp.Header.Get("Content-Type") != "application/grpc-web-text+proto" {
				t.Errorf("%s: %s, %q", method, resp.Status, text)
			}
			if leaked := decodedLoosely(text); strings.Contains(leaked, value) || !strings.Contains(leaked, "grpc-status: 0") {
				t.Errorf("%s: %q is %q", method, text, leaked)
			}
			if grpcorigin.Credential(o.Calls()[0].Metadata) != value {
				t.Error("the origin did not get the value")
			}
		}
		// A call with no value in its answer comes back as it is.
		if resp, text := call(h2, "/kz.test.Web/Talk", "application/grpc-web-text+proto", body); h2 && !strings.HasPrefix(decodedLoosely(text), "\x00\x00\x00\x00\x07"+message) {
			t.Errorf("%s: %q", resp.Status, text)
		}
	}
	b.Clean(c.Wait())
}

// decodedLoosely decodes what it can of base64 with padding and masks in it.
func decodedLoosely(text string) string {
	var decoded []byte
	for piece := range strings.SplitSeq(mask.ReplaceAllString(text, "="), "=") {
		b, _ := base64.RawStdEncoding.DecodeString(piece)
		decoded = append(decoded, b...)
	}
	return string(decoded)
}
