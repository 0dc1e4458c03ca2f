package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"kz/test/grpcorigin"
)

// The programs of this file are run under kz, as clients: what they know is their environment.

// ends prints why a program cannot go on.
func ends(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// goPost posts API_KEY to the URL, in header and body.
func goPost(args []string) int {
	key := os.Getenv("API_KEY")
	r, err := http.NewRequest("POST", args[0], strings.NewReader(`{"token": "`+key+`"}`))
	if err != nil {
		return ends(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return ends(err)
	}
	defer resp.Body.Close()
	fmt.Println("version:", resp.Proto)
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		return ends(err)
	}
	return 0
}

// goGRPC makes a call of each kind with grpc-go and prints what came, in the words that the clients of other languages use.
func goGRPC([]string) int {
	conn, err := grpc.NewClient("api.test:443", grpc.WithTransportCredentials(credentials.NewTLS(nil)), grpc.WithDefaultCallOptions(grpc.ForceCodec(grpcorigin.Raw{})))
	if err != nil {
		return ends(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("API_KEY"))
	if err := goCalls(ctx, conn); err != nil {
		return ends(err)
	}
	return 0
}

func goCalls(ctx context.Context, conn *grpc.ClientConn) error {
	var header, trailer metadata.MD
	in, out := []byte("hello "), []byte(nil)
	if err := conn.Invoke(ctx, "/kz.test.Echo/Unary", &in, &out, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		return err
	}
	fmt.Printf("unary: %s\nheader: %s\nheader-bin: %x\ntrailer: %s\ntrailer-bin: %x\n", out, header["x-header"][0], header["x-header-bin"][0], trailer["x-trailer"][0], trailer["x-trailer-bin"][0])
	in = []byte("fail 10")
	err := conn.Invoke(ctx, "/kz.test.Echo/Unary", &in, &out)
	fmt.Printf("status: %d %s\n", status.Code(err), status.Convert(err).Message())

	both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	collect, err := conn.NewStream(ctx, both, "/kz.test.Echo/Collect")
	if err != nil {
		return err
	}
	for i := range 5 {
		m := bytes.Repeat([]byte{byte('0' + i)}, i*1000)
		if err := collect.SendMsg(&m); err != nil {
			return err
		}
	}
	if err := collect.CloseSend(); err != nil {
		return err
	}
	if err := collect.RecvMsg(&out); err != nil {
		return err
	}
	fmt.Printf("client stream: %s\n", out)

	count, err := conn.NewStream(ctx, both, "/kz.test.Echo/Count")
	if err != nil {
		return err
	}
	in = []byte("5")
	if err := count.SendMsg(&in); err != nil {
		return err
	}
	if err := count.CloseSend(); err != nil {
		return err
	}
	for {
		if err := count.RecvMsg(&out); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		fmt.Printf("server stream %s\n", bytes.Replace(out, []byte(" "), []byte(": "), 1))
	}

	talk, err := conn.NewStream(ctx, both, "/kz.test.Echo/Talk")
	if err != nil {
		return err
	}
	for i := range 20 {
		in = fmt.Appendf(nil, "ping %d", i)
		if err := talk.SendMsg(&in); err != nil {
			return err
		}
		if err := talk.RecvMsg(&out); err != nil || !bytes.Equal(in, out) {
			return fmt.Errorf("talking: %q for %q: %w", out, in, err)
		}
	}
	if err := talk.CloseSend(); err != nil {
		return err
	}
	if err := talk.RecvMsg(&out); err != io.EOF {
		return fmt.Errorf("talking, at the end: %w", err)
	}
	fmt.Println("both: 20")
	return nil
}

// goWebSocket says three things to the URL, each when the one before has come back, with coder/websocket.
func goWebSocket(args []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	key := os.Getenv("API_KEY")
	client := &http.Client{Transport: &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		// net/http's own choice knows no wss.
		u := *r.URL
		u.Scheme = "https"
		return http.ProxyFromEnvironment(&http.Request{URL: &u})
	}}}
	c, resp, err := websocket.Dial(ctx, args[0], &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Authorization": {"Bearer " + key}},
		CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return ends(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	fmt.Printf("extensions: %q\n", resp.Header.Get("Sec-Websocket-Extensions"))
	_, hello, err := c.Read(ctx)
	if err != nil {
		return ends(err)
	}
	fmt.Printf("hello: %s\n", hello)
	for _, m := range []string{"one", "the key is " + key, strings.Repeat("long ", 30_000)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			return ends(err)
		}
		_, got, err := c.Read(ctx)
		if err != nil {
			return ends(err)
		}
		fmt.Printf("echo: %d %.80s\n", len(got), got)
	}
	if err := c.Ping(c.CloseRead(ctx)); err != nil {
		return ends(err)
	}
	fmt.Println("pong")
	if err := c.Close(4001, "done with it"); err != nil {
		return ends(err)
	}
	fmt.Println("closed: 4001 done with it")
	return 0
}
