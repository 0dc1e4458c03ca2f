package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"kz/proxy/policy"
)

// The records of TLS that are looked at (RFC 8446, sections 4 and 5.1).
const (
	recordHandshake   = 22
	recordHeader      = 5
	maxRecord         = 1<<14 + 256 // of TLS 1.2; TLS 1.3 has less
	messageHeader     = 4
	messageHello      = 1
	messageServer     = 2
	helloLimit        = 64 << 10 // one ClientHello with its record headers; large ones, with post-quantum shares and tickets, have 4 KiB
	helloTimeout      = 10 * time.Second
	serverRandom      = recordHeader + messageHeader + 2 // where the random of a ServerHello in its first record begins
	serverHelloPrefix = serverRandom + 32
)

// retryRandom is the random of a ServerHello that is a HelloRetryRequest (RFC 8446, section 4.1.3).
var retryRandom = []byte{
	0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
	0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
}

// openingError says why a tunnel of strict mode was closed. Its text is for the audit.
type openingError struct{ code, reason string }

func (e *openingError) Error() string { return e.reason }

func openingRefused(code policy.Code, reason string) error {
	return &openingError{string(code), reason}
}

var (
	errNoTLS      = openingRefused(policy.RequestInvalid, "the client did not speak TLS in a tunnel of strict mode; an allow entry for any port, as in host:*, would let other protocols pass")
	errHello      = openingRefused(policy.RequestInvalid, "the ClientHello in a tunnel of strict mode cannot be read")
	errHelloName  = openingRefused(codeAuthorityMismatch, "the TLS server name differs from the CONNECT host")
	errNoName     = openingRefused(codeAuthorityMismatch, "the ClientHello names no server; strict mode wants the CONNECT host there")
	errHelloLate  = openingRefused(policy.RequestInvalid, "no ClientHello came in time")
	errHelloAgain = openingRefused(codeAuthorityMismatch, "the second ClientHello does not name the CONNECT host")
)

// opened sends the client's first bytes to upstream once they are what the tunnel wants, and returns how many they were.
// After it has returned the rest may be copied unread. Nothing of a ClientHello that is refused is sent. A server that asks
// for another ClientHello (retried) gets that only if it names the host too: some servers act on the name in the second.
func opened(client, upstream net.Conn, a policy.Authority, want policy.Opening, retried <-chan bool) (int64, error) {
	out := int64(0)
	send := func(b []byte) error {
		n, err := upstream.Write(b)
		out += int64(n)
		return err
	}
	if want == policy.NamedWithTLS {
		if err := client.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
			return out, err
		}
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(client, first); err != nil {
		return out, late(err)
	}
	if first[0] != recordHandshake {
		if want == policy.NamedWithTLS {
			return out, errNoTLS
		}
		return out, send(first)
	}
	if err := client.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return out, err
	}
	hello, err := readHello(client, first)
	if err == nil {
		err = checkHello(hello, a)
	}
	if err != nil {
		return out, late(err)
	}
	if err := errors.Join(client.SetReadDeadline(time.Time{}), send(hello)); err != nil {
		return out, err
	}
	// Until the server has answered, the client has nothing to send but early data, which can wait.
	if again, ok := <-retried; !ok || !again {
		return out, nil
	}
	for {
		head, err := readFull(client, nil, recordHeader)
		if err != nil {
			return out, err
		}
		if head[0] != recordHandshake {
			record, err := readFull(client, head, recordLength(head))
			if err != nil {
				return out, err
			}
			if err := send(record); err != nil {
				return out, err
			}
			continue
		}
		second, err := readHello(client, head)
		if err == nil {
			err = checkHello(second, a)
		}
		if err != nil {
			var refused *openingError
			if errors.As(err, &refused) {
				err = errHelloAgain
			}
			return out, err
		}
		return out, send(second)
	}
}

// late tells a client that sent nothing in time from one that went away.
func late(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errHelloLate
	}
	return err
}

// readHello reads the records of one ClientHello, of which begun has been read already, and nothing behind it.
func readHello(r io.Reader, begun []byte) ([]byte, error) {
	raw := begun
	var message []byte
	for length := messageHeader; len(message) < length; {
		at := len(raw) - len(begun)
		begun = nil
		var err error
		if raw, err = readFull(r, raw, recordHeader-(len(raw)-at)); err != nil {
			return nil, err
		}
		head := raw[at:]
		n := recordLength(head)
		if head[0] != recordHandshake || head[1] != 3 || n == 0 || n > maxRecord || len(raw)+n > helloLimit {
			return nil, errHello
		}
		if raw, err = readFull(r, raw, n); err != nil {
			return nil, err
		}
		message = append(message, raw[len(raw)-n:]...)
		if message[0] != messageHello {
			return nil, errHello
		}
		if len(message) >= messageHeader {
			length = messageHeader + int(message[1])<<16 + int(message[2])<<8 + int(message[3])
		}
		// What follows in the same record would be read by nobody here.
		if len(message) > length {
			return nil, errHello
		}
	}
	return raw, nil
}

func recordLength(head []byte) int { return int(binary.BigEndian.Uint16(head[3:5])) }

// readFull appends n bytes to b.
func readFull(r io.Reader, b []byte, n int) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, n)...)
	_, err := io.ReadFull(r, b[at:])
	return b, err
}

// checkHello refuses a hello that does not name a. It is read by crypto/tls itself. Of an encrypted one (ECH) the outer name counts.
func checkHello(hello []byte, a policy.Authority) error {
	var sni *string
	stop := errors.New("seen")
	_ = tls.Server(&spoken{r: bytes.NewReader(hello)}, &tls.Config{MinVersion: tls.VersionTLS10, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		sni = &h.ServerName
		return nil, stop
	}}).Handshake()
	switch {
	case sni == nil:
		return errHello
	case a.Named(*sni):
		return nil
	case *sni == "":
		return errNoName
	}
	return errHelloName
}

// spoken is a connection whose peer has said what is in r and hears nothing.
type spoken struct {
	net.Conn
	r io.Reader
}

// Read implements net.Conn.
func (s *spoken) Read(p []byte) (int, error) { return s.r.Read(p) }

// Write implements net.Conn.
func (s *spoken) Write(p []byte) (int, error) { return len(p), nil }

// Close implements net.Conn.
func (s *spoken) Close() error { return nil }

// answered copies the first bytes of the server to the client, as they come, and says whether they ask for another
// ClientHello, or may do so. It returns how many there were; what follows may be copied unread.
func answered(client, upstream net.Conn, retried chan<- bool) int64 {
	var head []byte
	buf := make([]byte, 4<<10)
	for len(head) < serverHelloPrefix && (len(head) == 0 || head[0] == recordHandshake) {
		n, err := upstream.Read(buf)
		if n > 0 {
			head = append(head, buf[:n]...)
			if len(head) >= serverHelloPrefix || head[0] != recordHandshake {
				retried <- isRetry(head)
				retried = nil
			}
			if _, werr := client.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break // and whoever copies the rest finds it out again
		}
	}
	if retried != nil {
		close(retried)
	}
	return int64(len(head))
}

// isRetry reports whether a server's first bytes are a HelloRetryRequest, or a ServerHello cut into records so small that
// they might be.
func isRetry(head []byte) bool {
	if head[0] != recordHandshake || len(head) < serverHelloPrefix {
		return false
	}
	if recordLength(head) < serverHelloPrefix-recordHeader {
		return true
	}
	return head[recordHeader] == messageServer && bytes.Equal(head[serverRandom:serverHelloPrefix], retryRandom)
}
