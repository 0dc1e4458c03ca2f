package proxy

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestWhoMovesALittleHoldsNoRoomForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(100, time.Second)
		lost := make(chan bool, 1)
		greedy := r.claim(func() { lost <- true })
		if !greedy.take(100) {
			t.Fatal("there was room")
		}
		var moving sync.WaitGroup
		moving.Go(func() {
			for range 100 {
				if !greedy.take(0) {
					return
				}
				time.Sleep(time.Second / 2)
			}
			greedy.release()
		})
		began := time.Now()
		if !r.claim(func() {}).take(1) {
			t.Error("no room was made")
		}
		if took := time.Since(began); took > (roomPatience+1)*time.Second {
			moving.Wait()
			t.Fatalf("room was made after %s", took)
		}
		<-lost
		moving.Wait()
	})
}

func TestABodyThatIsBeingDecodedDoesNotStandStill(t *testing.T) {
	t.Parallel()
	var coded bytes.Buffer
	w, err := zstd.NewWriter(&coded)
	if err == nil {
		_, err = w.Write(make([]byte, 2*zstdWindow))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	d := decode(&coded, []string{"zstd"})
	defer d.Close()
	taken, asked := int64(0), 0
	d.take = func(n int64) bool { taken += n; asked++; return true }
	if n, err := io.Copy(io.Discard, d); n != 2*zstdWindow || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if taken != zstdWindow || asked < 2*zstdWindow/coderStep-1 {
		t.Errorf("%d bytes were asked for, in %d times", taken, asked)
	}
}

func TestABodyThatWasSentIsNotKeptBesideItsAnswer(t *testing.T) {
	t.Parallel()
	x := &exchange{p: &Proxy{room: newRoom(100, time.Second)}}
	x.body = &requestBody{x: x, original: []byte("original"), result: []byte("result")}
	if !x.take(40) {
		t.Fatal("there was room")
	}
	if x.giveBack(); x.p.room.left != 60 || x.body.kept() == nil {
		t.Errorf("before it was sent %d bytes are left", x.p.room.left)
	}
	x.body.wasSent()
	if x.giveBack(); x.p.room.left != 100 || x.body.kept() != nil || x.body.result != nil {
		t.Errorf("once it was sent %d bytes are left", x.p.room.left)
	}
}
