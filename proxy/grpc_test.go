package proxy_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"kz/masking"
	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// rawMessages is a codec of messages that are bytes.
type rawMessages struct{}

func (rawMessages) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawMessages) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}

func (rawMessages) Name() string { return "raw" }

// serveGRPC makes api.test a gRPC server whose every method is f.
func serveGRPC(f func(s grpc.ServerStream) error) bedOption {
	return func(b *bed, _ *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		s := grpc.NewServer(grpc.ForceServerCodec(rawMessages{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error { return f(s) }))
		b.t.Cleanup(s.Stop)
		b.handler = s
	}
}

// dialGRPC connects to api.test through the proxy.
func (b *bed) dialGRPC(options ...grpc.DialOption) (context.Context, *grpc.ClientConn) {
	b.t.Helper()
	tunnel := func(_ context.Context, addr string) (net.Conn, error) {
		conn, status := b.tryConnect(addr, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n")
		if status != http.StatusOK {
			return nil, fmt.Errorf("CONNECT: %d", status)
		}
		return conn, conn.SetDeadline(time.Time{})
	}
	conn, err := grpc.NewClient("passthrough:///api.test:443", append(options, grpc.WithContextDialer(tunnel),
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(b.pool, "")))...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	b.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+b.mask("KEY")), conn
}

func rawCalls() grpc.DialOption { return grpc.WithDefaultCallOptions(grpc.ForceCodec(rawMessages{})) }

func receive(t *testing.T, s interface{ RecvMsg(any) error }) (string, error) {
	t.Helper()
	got := make(chan error, 1)
	var m []byte
	go func() { got <- s.RecvMsg(&m) }()
	select {
	case err := <-got:
		return string(m), err
	case <-time.After(30 * time.Second):
		t.Fatal("a message was held back")
		panic("unreachable")
	}
}

func send(t *testing.T, s interface{ SendMsg(any) error }, m string) {
	t.Helper()
	b := []byte(m)
	if err := s.SendMsg(&b); err != nil {
		t.Fatal(err)
	}
}

func TestUnaryGRPC(t *testing.T) {
	t.Parallel()
	b := newBed(t, serveGRPC(func(s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		if got := md["authorization"]; len(got) != 1 || got[0] != "Bearer "+keyValue || md["grpc-accept-encoding"] != nil {
			return status.Errorf(codes.Unauthenticated, "metadata %v", md)
		}
		var m []byte
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
		_ = s.SetHeader(metadata.Pairs("x-header", keyValue))
		s.SetTrailer(metadata.Pairs("x-trailer", "Bearer "+keyValue))
		if string(m) == "fail" {
			return status.Errorf(codes.Aborted, "100%% of %s", keyValue)
		}
		m = append(m, keyValue...)
		return s.SendMsg(&m)
	}))
	ctx, conn := b.dialGRPC(rawCalls())
	in, out := []byte("\x0a\x15 with "+b.mask("KEY")), []byte(nil)
	var header, trailer metadata.MD
	if err := conn.Invoke(ctx, "/test/Unary", &in, &out, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		t.Fatal(err)
	}
	if want := string(in) + b.mask("KEY")[:len(keyValue)]; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if fmt.Sprint(header["x-header"], trailer["x-trailer"]) != fmt.Sprintf("[%s] [Bearer %[1]s]", b.mask("KEY")) {
		t.Errorf("%v %v", header, trailer)
	}
	in = []byte("fail")
	if err := conn.Invoke(ctx, "/test/Unary", &in, &out); status.Code(err) != codes.Aborted || status.Convert(err).Message() != "100% of "+b.mask("KEY") {
		t.Error(err)
	}
	e := b.event(func(e audit.Event) bool { return e.Path == "/test/Unary" })
	if len(e.Swapped) != 1 || fmt.Sprint(e.Scrubbed) != "[{KEY header 1} {KEY body 1} {KEY trailer 1}]" || len(e.Withheld) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestMessagesOfGRPCKeepTheirLengths(t *testing.T) {
	t.Parallel()
	b := newBed(t, serveGRPC(func(s grpc.ServerStream) error {
		var got []byte
		for {
			var m []byte
			err := s.RecvMsg(&m)
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			got = append(got, m...)
		}
		// The whole in one message, then in pieces of many sizes.
		if err := s.SendMsg(&got); err != nil {
			return err
		}
		for n := 0; len(got) > 0; n = n*3 + 1 {
			piece := got[:min(n, len(got))]
			if err := s.SendMsg(&piece); err != nil {
				return err
			}
			got = got[len(piece):]
		}
		return nil
	}))
	ctx, conn := b.dialGRPC(rawCalls())
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test/Both")
	if err != nil {
		t.Fatal(err)
	}
	pad := strings.Repeat("padding ", 50_000)
	for _, m := range []string{"", "a", pad, b.mask("KEY"), keyValue, pad, keyValue[:1]} {
		send(t, s, m)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	want := "a" + pad + b.mask("KEY") + b.mask("KEY")[:len(keyValue)] + pad + keyValue[:1]
	got, err := receive(t, s)
	if err != nil || got != want {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
	got = ""
	for n := 0; ; n = n*3 + 1 {
		m, err := receive(t, s)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(m) != min(n, len(want)-len(got)) {
			t.Errorf("a message of %d bytes, want %d", len(m), n)
		}
		got += m
	}
	if got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

func TestMessagesOfGRPCDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := newBed(t, serveGRPC(func(s grpc.ServerStream) error {
		for {
			var m []byte
			if err := s.RecvMsg(&m); err != nil {
				return nil
			}
			if err := s.SendMsg(&m); err != nil {
				return err
			}
		}
	}))
	ctx, conn := b.dialGRPC(rawCalls())
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test/Both")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("long ", 100_000)
	for i := range masking.MinScrub - 1 {
		for _, m := range []string{"ping " + keyValue[:1], keyValue[:i+1], "", long + keyValue[:i+1]} {
			send(t, s, m)
			if got, err := receive(t, s); err != nil || got != m {
				t.Fatalf("got %.80q, %v, want %.80q", got, err, m)
			}
		}
	}
}

func TestMessagesOfGRPCAreNotSwapped(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	b := newBed(t, keyPlaces("header", "body:*"), serveGRPC(func(s grpc.ServerStream) error {
		var m []byte
		err := s.RecvMsg(&m)
		heard <- string(m)
		_ = s.SendMsg(&m)
		return err
	}))
	ctx, conn := b.dialGRPC(rawCalls())
	in, out := []byte(b.mask("KEY")), []byte(nil)
	if err := conn.Invoke(ctx, "/test/Unary", &in, &out); err != nil {
		t.Error(err)
	}
	if got := <-heard; got != b.mask("KEY") {
		t.Errorf("the upstream heard %q", got)
	}
	if e := b.event(func(e audit.Event) bool { return e.Path == "/test/Unary" }); len(e.Withheld) != 1 || e.Withheld[0].Place != "body" {
		t.Errorf("%+v", e)
	}
}

func noiseText(n int64) string {
	b, _ := io.ReadAll(noise(n))
	return string(b)
}

func TestTheHealthServiceOfGRPC(t *testing.T) {
	t.Parallel()
	h := health.NewServer()
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, h)
	t.Cleanup(s.Stop)
	b := newBed(t, answering(s.ServeHTTP))
	ctx, conn := b.dialGRPC()
	client := grpc_health_v1.NewHealthClient(conn)
	if r, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || r.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Error(r, err)
	}
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN,
		grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING} {
		if want != grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
			h.SetServingStatus("s", want)
		}
		if r, err := watch.Recv(); err != nil || r.Status != want {
			t.Errorf("got %v, %v, want %v", r, err, want)
		}
	}
}

// envelope is a message with its head.
func envelope(flags byte, m string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(m)))) + m
}

func TestEnvelopesOfOtherKindsAreScrubbedInPlace(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"application/grpc-web+proto", "application/grpc-web", "application/connect+json", "Application/GRPC+proto; charset=utf-8"} {
		for _, known := range []bool{true, false} {
			body := envelope(0, "m "+keyValue) + envelope(1, "\x1f\x8b") + envelope(0x82, "trailer: "+keyValue)
			b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				w.Header().Set("Content-Md5", "x")
				if known {
					w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				} else {
					w.(http.Flusher).Flush()
				}
				_, _ = io.WriteString(w, body)
			}))
			a := b.do(b.request("POST", "https://api.test/", "x", "Content-Type: "+kind))
			if want := strings.ReplaceAll(body, keyValue, b.mask("KEY")[:len(keyValue)]); a.body != want || known != (a.ContentLength == int64(len(body))) {
				t.Errorf("%s: got %q, length %d", kind, a.body, a.ContentLength)
			}
			if known == false && a.Header.Get("Content-Md5") != "" {
				t.Error("a digest stayed")
			}
		}
	}
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc-web-text")
		_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString([]byte(envelope(0, keyValue))))
	}))
	if a := b.do(b.request("POST", "https://api.test/", "x", "Content-Type: application/grpc-web-text")); !strings.Contains(a.body, b.mask("KEY")) {
		t.Errorf("text form: %q", a.body)
	}
}

func TestEnvelopesThatAreCutOrWrongAreAnAbortedTransfer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"in a head": "\x00\x00\x00", "before a message": "\x00\x00\x00\x00\x05", "in a message": envelope(0, "hello")[:8],
		"in a long message": envelope(0, strings.Repeat("x", 1<<20))[:1<<19], "in a compressed one": envelope(1, strings.Repeat("x", 1<<20))[:1<<19],
		"unknown flags": envelope(4, "hello"), "text": "{}", "after one": envelope(0, "hello") + "\x40",
	} {
		for _, h2 := range []bool{false, true} {
			b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/grpc")
				_, _ = io.WriteString(w, body)
			}))
			resp, err := b.newClient(h2).Do(b.request("POST", "https://api.test/", "x", "Content-Type: application/grpc"))
			var got []byte
			if err == nil {
				got, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, h2 %v: %d bytes, %v", name, h2, len(got), err)
			}
			if e := b.event(func(e audit.Event) bool { return e.Status == 200 }); e.Reason != "the upstream ended the answer early" {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}
