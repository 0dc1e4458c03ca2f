package proxy

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoomIsTakenFromWhoStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(100, time.Second)
		dropped := make(chan string, 3)
		claim := func(name string) *claim { return r.claim(func() { dropped <- name }) }
		still, moving, late := claim("still"), claim("moving"), claim("late")
		if !still.take(50) || !moving.take(40) {
			t.Fatal("there was room")
		}
		time.Sleep(900 * time.Millisecond)
		moving.take(0)
		began := time.Now()
		if !late.take(40) {
			t.Fatal("no room was made")
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("room was made after %s", took)
		}
		if name := <-dropped; name != "still" {
			t.Errorf("%s was dropped", name)
		}
		if still.take(1) {
			t.Error("what was lost can be used again")
		}
		if !moving.take(10) {
			t.Error("who moves has lost its room")
		}
	})
}

func TestRoomThatIsGivenBackIsThereForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(100, time.Hour)
		first, second := r.claim(func() { t.Error("dropped") }), r.claim(func() { t.Error("dropped") })
		if !first.take(100) {
			t.Fatal("there was room")
		}
		go func() {
			time.Sleep(time.Second)
			first.release()
		}()
		if !second.take(60) || !first.take(40) || r.left != 0 {
			t.Errorf("%d bytes are left", r.left)
		}
		first.release()
		second.release()
		if r.left != 100 || r.claims.Len() != 0 {
			t.Errorf("in the end %d bytes are left, %d claims", r.left, r.claims.Len())
		}
	})
}

func TestMoreThanThereIsFindsNoRoom(t *testing.T) {
	t.Parallel()
	if newRoom(100, time.Hour).claim(func() {}).take(101) {
		t.Error("101 of 100 bytes were given")
	}
}

func TestAHeadThatDoesNotEndIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(10*headCost, time.Second)
		var m headMeter
		lost := make(chan bool, 1)
		m.begin(r, func() { lost <- true })
		if !m.read(headFree) || r.left != 10*headCost {
			t.Error("an ordinary head costs something")
		}
		if !m.read(10) || r.left != 0 {
			t.Errorf("%d bytes are left", r.left)
		}
		var other headMeter
		other.begin(r, func() {})
		if !other.read(headFree + 1) {
			t.Error("there is no room for another")
		}
		if <-lost; m.read(1) {
			t.Error("who has lost its room reads on")
		}
		m.done()
		other.done()
		if r.left != 10*headCost {
			t.Errorf("in the end %d bytes are left", r.left)
		}
		if !m.read(1 << 20) {
			t.Error("between heads nothing is counted")
		}
	})
}

type someConn struct {
	net.Conn
	closed chan bool
}

func (c *someConn) Close() error { c.closed <- true; return nil }

func TestWhoHasTheMostRequestsGivesWay(t *testing.T) {
	t.Parallel()
	c := crowd{most: 10}
	greedy, modest := &someConn{closed: make(chan bool, 1)}, &someConn{closed: make(chan bool, 1)}
	for range 9 {
		if !c.enter(greedy) {
			t.Fatal("there was a place")
		}
	}
	if !c.enter(modest) || c.enter(greedy) {
		t.Fatal("who has the most got an eleventh place")
	}
	if !c.enter(modest) {
		t.Error("another found no place")
	}
	<-greedy.closed
	for range 9 {
		c.leave(greedy)
	}
	c.leave(modest)
	c.leave(modest)
	if c.n != 0 || len(c.by) != 0 {
		t.Errorf("in the end %d are counted, of %d connections", c.n, len(c.by))
	}
}

func TestACrowdGetsSmallWindows(t *testing.T) {
	t.Parallel()
	pools, d := newTransports(&dialer{}), &dialer{}
	var own ownPool
	for n, want := range map[density]int{few: 1 << 20, some: 256 << 10, many: 64<<10 - 1, throng: 4 << 10} {
		for _, tr := range []*http.Transport{pools.h2[n], own.transport(d, n)} {
			if got := tr.HTTP2.MaxReceiveBufferPerStream; got != want {
				t.Errorf("a window of %d, want %d", got, want)
			}
		}
	}
	c := crowd{most: 2 * manyExchanges}
	for i := range 2 * manyExchanges {
		c.enter(nil)
		want := few
		switch {
		case i >= manyExchanges:
			want = throng
		case i >= someExchanges:
			want = many
		case i >= fewExchanges:
			want = some
		}
		if got := c.density(); got != want {
			t.Fatalf("%d exchanges are %d, want %d", i+1, got, want)
		}
	}
}

func TestAConnectionWithoutRoomForItsHeadEnds(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(c net.Conn, r *room, drop func()) net.Conn{
		"of a client": func(c net.Conn, r *room, drop func()) net.Conn {
			l := &limitedConn{Conn: c, release: func() {}, stranger: time.NewTimer(time.Hour)}
			l.head.begin(r, drop)
			return l
		},
		"of an upstream": func(c net.Conn, r *room, drop func()) net.Conn {
			d := &dialled{Conn: c, d: &dialer{}}
			d.head.begin(r, drop)
			return d
		},
	} {
		near, far := net.Pipe()
		defer far.Close()
		conn := wrap(near, newRoom(headCost, time.Millisecond), func() {})
		go func() { _, _ = far.Write(make([]byte, headFree+2)) }()
		if n, err := conn.Read(make([]byte, headFree+2)); err != errRoom {
			t.Errorf("a connection %s: %d bytes, %v", name, n, err)
		}
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Errorf("a connection %s is still open", name)
		}
	}
	if new(Proxy).newServer(nil).ConnState == nil {
		t.Error("nobody begins to count")
	}
}

func TestABodyIsReadAsFarAsThereIsRoom(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{200 << 10, -1} {
		left := int64(100 << 10)
		b, whole, err := readUpTo(io.LimitReader(zeroes{}, 200<<10), maxHeld, length, func(n int64) bool { left -= n; return left >= 0 })
		if err != errRoom || whole || len(b) > 100<<10 {
			t.Errorf("length %d: %d bytes, %v, %v", length, len(b), whole, err)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestADecoderWithoutRoomEnds(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"zstd", "br"} {
		d := decode(encode(io.LimitReader(zeroes{}, 4<<20), []string{coding}), []string{coding})
		d.take = func(int64) bool { return false }
		if n, err := io.Copy(io.Discard, d); err != errRoom || n > 2*coderStep {
			t.Errorf("%s: %d bytes, %v", coding, n, err)
		}
	}
}

func TestRequestsInACrowdUseItsPools(t *testing.T) {
	t.Parallel()
	pools := newTransports(&dialer{})
	r := httptest.NewRequest("GET", "/", nil)
	for n := range densities {
		if pools.of(r, 2, n) != pools.h2[n] {
			t.Error("HTTP/2 goes by another pool")
		}
	}
	if r.ContentLength = -1; pools.of(r, 1, many) != pools.h1 || pools.of(r, 1, throng) != pools.h1 || pools.of(r, 1, few) != pools.uploads {
		t.Error("a long body goes by another pool")
	}
}
