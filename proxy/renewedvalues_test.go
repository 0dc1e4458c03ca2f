package proxy_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"kz/proxy/policy"
)

// unbind has KEY be bound to another host from now on.
func (b *bed) unbind() {
	b.proxy.SetPolicy(policy.New([]policy.Secret{{Name: "KEY", Hosts: hosts(b.t, "other.test"), Places: places(b.t, "header", "frame", "body:*")}},
		policy.Egress{InterceptAll: true}))
}

func TestAnOpenSocketGetsNoValueThatIsNotBoundAnyMore(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 10)
	b := newBed(t, keyPlaces("header", "frame"), talking(func(ctx context.Context, c *websocket.Conn) {
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				return
			}
			heard <- string(data)
		}
	}))
	ctx, c := b.dial()
	say := func(want string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(b.mask("KEY"))); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != want {
			t.Errorf("the upstream heard %q, want %q", got, want)
		}
	}
	say(keyValue)
	b.unbind()
	say(b.mask("KEY"))
}

func TestAnOpenRequestGetsNoValueThatIsNotBoundAnyMore(t *testing.T) {
	t.Parallel()
	heard, begun := make(chan string, 1), make(chan bool, 1)
	b := newBed(t, keyPlaces("body:*"), answering(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 2<<20))
		begun <- true
		rest, _ := io.ReadAll(r.Body)
		heard <- string(rest)
	}))
	in, out := io.Pipe()
	r, err := http.NewRequest(http.MethodPost, "https://api.test/x", in)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = out.Write(make([]byte, 3<<20))
		<-begun
		b.unbind()
		_, _ = out.Write([]byte(b.mask("KEY")))
		_ = out.Close()
	}()
	resp, err := b.client.Do(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	if rest := <-heard; strings.Contains(rest, keyValue) {
		t.Error("the value was sent")
	}
}
