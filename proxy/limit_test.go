package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return &net.TCPAddr{} }

// accept has a client come, and returns both ends.
func (p pipes) accept(t *testing.T, l net.Listener) (client, server net.Conn) {
	t.Helper()
	client, server = net.Pipe()
	p <- server
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func hasEnded(t *testing.T, c net.Conn) bool {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestAConnectionIsClosedUnlessItIsAdmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := make(pipes, 1)
		l := newLimitListener(p, 2, &presence{after: time.Hour, alone: func() {}})
		stranger, _ := p.accept(t, l)
		friend, server := p.accept(t, l)
		admit(withClient(context.Background(), server))
		time.Sleep(headerTimeout - time.Millisecond)
		synctest.Wait()
		if hasEnded(t, stranger) || len(l.slots) != 2 {
			t.Error("a stranger was not waited for")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if !hasEnded(t, stranger) || len(l.slots) != 1 {
			t.Error("a stranger holds its slot")
		}
		time.Sleep(10 * headerTimeout)
		if hasEnded(t, friend) {
			t.Error("an admitted connection was closed")
		}
		_ = server.Close()
		if len(l.slots) != 0 {
			t.Error("a closed connection holds its slot")
		}
	})
}

func TestIdleUpstreamsGoWhenNoClientIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		alone := 0
		p := &presence{after: keptAlone, alone: func() { alone++ }}
		p.enter()
		p.enter()
		p.leave()
		time.Sleep(2 * keptAlone)
		if synctest.Wait(); alone != 0 {
			t.Error("alone with one client")
		}
		p.leave()
		time.Sleep(keptAlone - 1)
		p.enter()
		time.Sleep(2 * keptAlone)
		if synctest.Wait(); alone != 0 {
			t.Error("alone, though one came in time")
		}
		p.leave()
		time.Sleep(keptAlone)
		if synctest.Wait(); alone != 1 {
			t.Errorf("alone was called %d times", alone)
		}
	})
}
