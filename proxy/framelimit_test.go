package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestFramesAreLimitedAtAnyChunking: whatever pieces the bytes come in, a reader finds no longer frame allowed, and all else as it was.
func TestFramesAreLimitedAtAnyChunking(t *testing.T) {
	t.Parallel()
	var sent bytes.Buffer
	f := http2.NewFramer(&sent, nil)
	data := make([]byte, 9000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	// What looks like the setting, where it is none.
	copy(data[100:], []byte{0, 0, 6, frameSettings, 0, 0, 0, 0, 0, 0, settingMaxFrame, 0xff, 0xff, 0xff, 0xff})
	for _, max := range []uint32{1 << 20, 16 << 10, 1<<24 - 1, 40 << 10, 64 << 10} {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0x00050005}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: max},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
		_ = f.WriteSettingsAck()
		_ = f.WriteData(1, false, data)
		_ = f.WritePing(false, [8]byte{0, 5, 0xff, 0xff, 0xff, 0xff})
	}
	for size := range 40 {
		c := &frameLimit{most: 64 << 10}
		got := bytes.Clone(sent.Bytes())
		r := rand.New(rand.NewPCG(uint64(size), 1))
		for rest := got; len(rest) > 0; {
			n := min(len(rest), size)
			if size == 0 {
				n = min(len(rest), 1+r.IntN(9000))
			}
			c.limit(rest[:n])
			rest = rest[n:]
		}
		sameButFrames(t, size, got, sent.Bytes())
	}
}

// sameButFrames compares two streams of frames: in got, nothing may differ but that it allows no longer frame than 64 KiB, nor one that want
// does not, and none shorter than 16 KiB.
func sameButFrames(t *testing.T, size int, got, want []byte) {
	t.Helper()
	for len(want) > 0 {
		n := frameHead + int(want[0])<<16 + int(want[1])<<8 + int(want[2])
		g, w := got[:n], want[:n]
		got, want = got[n:], want[n:]
		if w[3] != frameSettings || len(w) == frameHead {
			if !bytes.Equal(g, w) {
				t.Fatalf("in pieces of %d a frame of type %d differs", size, w[3])
			}
			continue
		}
		value := binary.BigEndian.Uint32(g[frameHead+settingEntry+2:])
		if most := min(64<<10, binary.BigEndian.Uint32(w[frameHead+settingEntry+2:])); value > most || value < leastMaxFrame || size > 100 && value != most {
			t.Errorf("in pieces of %d frames may have %d bytes, want %d", size, value, most)
		}
		copy(g[frameHead+settingEntry+2:], w[frameHead+settingEntry+2:][:4])
		if !bytes.Equal(g, w) {
			t.Errorf("in pieces of %d another setting differs", size)
		}
	}
}

// TestNetHTTPSendsNoLongerFrames sends a body of unknown length to an upstream that would take frames of 1 MiB. It fails, too, when
// net/http has no door any more for what limitFrames brings in.
func TestNetHTTPSendsNoLongerFrames(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	longest := make(chan uint32, 1)
	srv.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
		longest <- longestData(c)
	}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr := newH2Transport(&dialer{}, few)
	tr.DialTLSContext = func(context.Context, string, string) (net.Conn, error) {
		return tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	t.Cleanup(tr.CloseIdleConnections)
	// The first request's body could begin before the upstream has said what it takes.
	first, _ := http.NewRequest("GET", "https://upload.test/", nil)
	resp, err := tr.RoundTrip(first)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	r, _ := http.NewRequest("POST", "https://upload.test/", io.MultiReader(bytes.NewReader(make([]byte, 1<<20))))
	go func() {
		if resp, err := tr.RoundTrip(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	if n := <-longest; n > 64<<10 || n <= leastMaxFrame {
		t.Errorf("the longest frame had %d bytes", n)
	}
}

// longestData is the length of the longest frame of a body of 1 MiB.
func longestData(c net.Conn) (longest uint32) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return 0
	}
	f := http2.NewFramer(c, c)
	f.SetMaxReadFrameSize(1 << 20)
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 21})
	_ = f.WriteWindowUpdate(0, 1<<21)
	for sum := uint32(0); sum < 1<<20; {
		frame, err := f.ReadFrame()
		if err != nil {
			return longest
		}
		switch frame.Header().Type {
		case http2.FrameHeaders:
			if frame.Header().StreamID == 1 {
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true}) // 200 (RFC 7541, appendix A)
			}
		case http2.FrameData:
			sum += frame.Header().Length
			longest = max(longest, frame.Header().Length)
		}
	}
	return longest
}
