package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"kz/test/bed"
	"kz/test/grpcorigin"
)

var bothWays = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// grpcClient connects to a host through the kz of a blind child. The context lasts a minute and brings the mask.
func grpcClient(t *testing.T, c *child, host string) (context.Context, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+host+":443", grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(c.roots(t), "")),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(grpcorigin.Raw{}), grpc.MaxCallRecvMsgSize(grpcorigin.MaxMessage)),
		grpc.WithContextDialer(func(_ context.Context, addr string) (net.Conn, error) {
			conn := c.tunnel(t, addr)
			return conn, conn.SetDeadline(time.Time{})
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.env["API_KEY"]), conn
}

// stream opens one, or ends the test.
func stream(t *testing.T, ctx context.Context, conn *grpc.ClientConn, method string, options ...grpc.CallOption) grpc.ClientStream {
	t.Helper()
	s, err := conn.NewStream(ctx, bothWays, "/kz.test.Echo/"+method, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// converse sends a message and receives the next one.
func converse(s grpc.ClientStream, m []byte) (got []byte, err error) {
	if err := s.SendMsg(&m); err != nil {
		return nil, err
	}
	err = s.RecvMsg(&got)
	return got, err
}

func TestGRPCEnds(t *testing.T) {
	t.Parallel()
	b, o, value := grpcBed(t)
	c := waiting(t, b)
	ctx, conn := grpcClient(t, c, "api.test")

	t.Run("every status passes, with its text", func(t *testing.T) {
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			in, out := fmt.Appendf(nil, "fail %d", code), []byte(nil)
			err := conn.Invoke(ctx, "/kz.test.Echo/Unary", &in, &out)
			if want := "not for " + c.env["API_KEY"] + ", 100%"; status.Code(err) != code || status.Convert(err).Message() != want {
				t.Errorf("%v: %v, want %s", code, err, want)
			}
		}
	})
	t.Run("a deadline reaches the origin and is kept", func(t *testing.T) {
		o.Reset()
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		in, out := []byte("x"), []byte(nil)
		if err := conn.Invoke(short, "/kz.test.Echo/Wait", &in, &out); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("the call ended with %v", err)
		}
		if call := ended(t, o, 1)[0]; !call.Deadline || call.End == "" {
			t.Errorf("the origin saw %+v", call.End)
		}
	})
	t.Run("the origin hears that the client cancels a call it waits for", func(t *testing.T) {
		o.Reset()
		part, cancel := context.WithCancel(ctx)
		s := stream(t, part, conn, "Wait")
		in := []byte("x")
		if err := s.SendMsg(&in); err != nil {
			t.Fatal(err)
		}
		bed.Eventually(t, "the call has come", func() bool { calls := o.Calls(); return len(calls) == 1 && calls[0].Messages == 1 })
		cancel()
		if call := ended(t, o, 1)[0]; !strings.Contains(call.End, "Canceled") {
			t.Errorf("the origin saw %q", call.End)
		}
	})
	t.Run("the origin hears that the client cancels a stream", func(t *testing.T) {
		o.Reset()
		part, cancel := context.WithCancel(ctx)
		s := stream(t, part, conn, "Drip")
		for range 100 {
			var m []byte
			if err := s.RecvMsg(&m); err != nil || string(m) != "one of many" {
				t.Fatal(string(m), err)
			}
		}
		cancel()
		if call := ended(t, o, 1)[0]; call.End == "" {
			t.Error("the origin saw a success")
		}
		// The connection goes on.
		if got, err := converse(stream(t, ctx, conn, "Talk"), []byte("still there")); err != nil || string(got) != "still there" {
			t.Errorf("the next call: %q, %v", got, err)
		}
	})
	t.Run("the origin resets a stream inside a message", func(t *testing.T) {
		ctx, conn := grpcClient(t, c, "other.test")
		s, err := conn.NewStream(ctx, bothWays, "/kz.test.Web/Cut")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		var m []byte
		if err := s.RecvMsg(&m); err == nil || err == io.EOF || status.Code(err) == codes.OK {
			t.Errorf("the client got %q, %v", m, err)
		}
	})
	t.Run("the origin ends while calls run", func(t *testing.T) {
		s := stream(t, ctx, conn, "Talk")
		if _, err := converse(s, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		var m []byte
		if err := s.RecvMsg(&m); err == nil || err == io.EOF || status.Code(err) == codes.OK {
			t.Errorf("the client got %q, %v", m, err)
		}
		in := []byte("x")
		if err := conn.Invoke(ctx, "/kz.test.Echo/Unary", &in, &m); status.Code(err) != codes.Unavailable {
			t.Errorf("a call without an origin: %v", err)
		}
	})
	res := c.Wait()
	b.Clean(res)
	if strings.Contains(res.Output(), value) {
		t.Error("the value was printed")
	}
}

func TestGRPCMessages(t *testing.T) {
	t.Parallel()
	b, o, value := grpcBed(t)
	c := waiting(t, b)
	ctx, conn := grpcClient(t, c, "api.test")
	token := c.env["API_KEY"]
	filler := (token + strings.Repeat("_", len(value)))[:len(value)]

	t.Run("long messages go both ways as they are", func(t *testing.T) {
		for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			for name, m := range map[string][]byte{"text": bytes.Repeat([]byte("a text of some length, "), 4<<20/23), "noise": noise(4<<20 - 100), "a mask": []byte(token)} {
				o.Reset()
				in, out := m, []byte(nil)
				if err := conn.Invoke(ctx, "/kz.test.Echo/Unary", &in, &out, options...); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if call := ended(t, o, 1)[0]; call.Sum != sum(string(m)) {
					t.Errorf("%s: the origin got other bytes: %d of %d", name, call.Bytes, len(m))
				}
				if string(out) != string(m)+filler {
					t.Errorf("%s: the client got other bytes: %d, want %d", name, len(out), len(m)+len(filler))
				}
			}
		}
	})
	t.Run("none of a dialogue is held back", func(t *testing.T) {
		s := stream(t, ctx, conn, "Talk")
		for i := range 2000 {
			m := fmt.Appendf(nil, "message %d", i)
			switch i % 4 {
			case 1:
				m = append(m, value[:7]...)
			case 2:
				m = nil
			case 3:
				m = noise(1 + i*10)
			}
			if got, err := converse(s, m); err != nil || !bytes.Equal(got, m) {
				t.Fatalf("message %d: %d bytes for %d, %v", i, len(got), len(m), err)
			}
		}
	})
	t.Run("a hundred dialogues share two connections", func(t *testing.T) {
		o.Reset()
		var wg sync.WaitGroup
		all := make(chan struct{})
		var open sync.WaitGroup
		open.Add(100)
		for i := range 100 {
			wg.Go(func() {
				s, err := conn.NewStream(ctx, bothWays, "/kz.test.Echo/Mirror")
				if err == nil {
					_, err = converse(s, fmt.Appendf(nil, "%d is there", i))
				}
				open.Done()
				if err != nil {
					t.Errorf("dialogue %d: %v", i, err)
					return
				}
				<-all // none goes on before all have begun
				for n := range 20 {
					m := append(fmt.Appendf(nil, "%d says %d ", i, n), noise(n*500)...)
					if got, err := converse(s, m); err != nil || !bytes.Equal(got, m) {
						t.Errorf("dialogue %d, message %d: %.30q, %v", i, n, got, err)
						return
					}
				}
				var last []byte
				if err := s.CloseSend(); err != nil {
					t.Error(err)
				}
				if err := s.RecvMsg(&last); err != nil || string(last) != filler {
					t.Errorf("dialogue %d ends with %d bytes, %v", i, len(last), err)
				}
				if err := s.RecvMsg(&last); err != io.EOF {
					t.Errorf("dialogue %d does not end: %v", i, err)
				}
			})
		}
		open.Wait()
		close(all)
		wg.Wait()
		peers := map[string]bool{}
		for _, call := range ended(t, o, 100) {
			peers[call.Peer] = true
			if call.Messages != 21 || call.End != "" || grpcorigin.Credential(call.Metadata) != value {
				t.Errorf("the origin got %d messages, %q", call.Messages, call.End)
			}
		}
		// The first few have large windows, on a connection of their own.
		if len(peers) > 2 {
			t.Errorf("kz spoke with the origin by %d connections", len(peers))
		}
	})
	b.Clean(c.Wait())
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

const grpcPythonMore = `
import os, grpc, concurrent.futures
key = os.environ["API_KEY"]
same = lambda m: m
md = (("authorization", "Bearer " + key),)
with grpc.secure_channel("api.test:443", grpc.ssl_channel_credentials(), options=(("grpc.max_receive_message_length", 16 << 20),)) as channel:
    unary = channel.unary_unary("/kz.test.Echo/Unary", request_serializer=same, response_deserializer=same)
    wait = channel.unary_unary("/kz.test.Echo/Wait", request_serializer=same, response_deserializer=same)
    drip = channel.unary_stream("/kz.test.Echo/Drip", request_serializer=same, response_deserializer=same)
    talk = channel.stream_stream("/kz.test.Echo/Talk", request_serializer=same, response_deserializer=same)
    codes = []
    for n in range(1, 17):
        try:
            unary(b"fail %d" % n, metadata=md, timeout=60)
        except grpc.RpcError as e:
            codes.append(e.code().value[0])
    print("codes:", codes == list(range(1, 17)))
    try:
        wait(b"x", metadata=md, timeout=0.3)
    except grpc.RpcError as e:
        print("deadline:", e.code().name)
    waiting = wait.future(b"x", metadata=md, timeout=60)
    print("cancelled:", waiting.cancel())
    call = drip(b"", metadata=md, timeout=60)
    for _ in range(100):
        next(call)
    call.cancel()
    try:
        for m in call:
            pass
    except grpc.RpcError as e:
        print("stream:", e.code().name)
    long = os.urandom(4 << 20)
    for how in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        for m in (long, b"a text that shrinks " * 200000):
            got = unary(m, metadata=md, timeout=60, compression=how)
            print("long:", got[:len(m)] == m, got[len(m):].decode())
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        def one(i):
            said = [b"%d says %d" % (i, n) for n in range(10)]
            return list(talk(iter(said), metadata=md, timeout=60)) == said
        print("streams:", sum(pool.map(one, range(100))))`

func TestGRPCFromPython(t *testing.T) {
	t.Parallel()
	b, o, value := grpcBed(t)
	res := b.Run(bed.Python(t, "grpc"), "-c", grpcPythonMore)
	res.Succeeds(t)
	b.Clean(res)
	for name, want := range map[string]string{"codes": "True", "deadline": "DEADLINE_EXCEEDED", "cancelled": "True", "stream": "CANCELLED", "streams": "100"} {
		if got := field(string(res.Stdout), name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if n := strings.Count(string(res.Stdout), "long: True kz_masked_"); n != 4 {
		t.Errorf("%d of 4 long messages came as they were:\n%s", n, res.Stdout)
	}
	bed.Eventually(t, "all calls have ended at the origin", func() bool {
		for _, c := range o.Calls() {
			if !c.Done {
				return false
			}
		}
		return true
	})
	for _, c := range o.Calls() {
		if grpcorigin.Credential(c.Metadata) != value {
			t.Errorf("%s came without the value", c.Method)
		}
	}
}
