package proxy

import (
	"net"
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
		t.Error("who has the most got an eleventh place")
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
	pools := newTransports(&dialer{})
	if n := pools.crowded.HTTP2.MaxReceiveBufferPerStream; n != crowdedWindow {
		t.Errorf("a window of %d", n)
	}
	if n := pools.h2.HTTP2.MaxReceiveBufferPerStream; n != downloadWindow {
		t.Errorf("a window of %d where there are few", n)
	}
	c := crowd{most: 2 * fewExchanges}
	for range fewExchanges {
		c.enter(nil)
	}
	if c.large() {
		t.Error("few are a crowd")
	}
	if c.enter(nil); !c.large() {
		t.Error("many are none")
	}
}
