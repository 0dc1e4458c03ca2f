// Package grpcorigin plays an API that speaks gRPC, by grpc-go's own server, and gRPC-Web and Connect, by connect-go's.
// It keeps what each call brought.
//
//	o, err := grpcorigin.Start(origin.TLS("h2"), origin.TLS("h2", "http/1.1"))
//	defer o.Close()
//	// dial o.GRPC or o.Web
//	for _, c := range o.Calls() { … }
//
// Messages of gRPC are bytes, whatever a client takes them for. The service is kz.test.Echo; see serve for its methods.
package grpcorigin

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // answers to compressed calls are compressed
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// MaxMessage is the longest message that is taken, in bytes.
const MaxMessage = 16 << 20

// Origin is a pair of running servers. It is safe for concurrent use.
type Origin struct {
	GRPC string // host:port of the gRPC server
	Web  string // host:port of the one for gRPC-Web and Connect; see web.go

	grpc *grpc.Server
	web  *http.Server
	wg   sync.WaitGroup

	mu    sync.Mutex
	calls []*Call
}

// Call is one call as it came.
type Call struct {
	Method   string
	Metadata metadata.MD
	Peer     string // the client's address: one per connection
	Deadline bool   // the client said one
	Messages int
	Bytes    int
	Sum      string // hex SHA-256 of all messages, one behind the other
	Done     bool
	End      string // why it ended; "" is success
}

// Start listens on loopback. grpcTLS must offer h2. The caller must Close the result.
func Start(grpcTLS, webTLS *tls.Config) (*Origin, error) {
	o := &Origin{}
	gl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	wl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, gl.Close())
	}
	o.GRPC, o.Web = gl.Addr().String(), wl.Addr().String()
	o.grpc = grpc.NewServer(grpc.Creds(credentials.NewTLS(grpcTLS)), grpc.ForceServerCodec(Raw{}), grpc.MaxRecvMsgSize(MaxMessage),
		grpc.UnknownServiceHandler(o.serve), grpc.MaxConcurrentStreams(250))
	o.web = &http.Server{Handler: o.webHandler(), TLSConfig: webTLS, ReadHeaderTimeout: 30 * time.Second}
	o.wg.Go(func() { _ = o.grpc.Serve(gl) })
	o.wg.Go(func() { _ = o.web.ServeTLS(wl, "", "") })
	return o, nil
}

// Close ends all calls and connections at once.
func (o *Origin) Close() error {
	o.grpc.Stop()
	err := o.web.Close()
	o.wg.Wait()
	return err
}

// Calls copies what has come in, in the order in which it began.
func (o *Origin) Calls() []Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]Call, 0, len(o.calls))
	for _, c := range o.calls {
		list = append(list, *c)
	}
	return list
}

// Reset forgets the calls that have come in.
func (o *Origin) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = nil
}

func (o *Origin) begin(c *Call) *Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, c)
	return c
}

func (o *Origin) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// Raw is a codec of messages that are bytes: each is a *[]byte.
type Raw struct{}

// Marshal implements encoding.Codec.
func (Raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

// Unmarshal implements encoding.Codec.
func (Raw) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, b...)
	return nil
}

// Name implements encoding.Codec.
func (Raw) Name() string { return "raw" }

// serve gives each call the header metadata x-header and x-header-bin and the trailers x-trailer and x-trailer-bin with the
// credential that it brought, which is what stands behind "Bearer " in its metadata authorization. Then it does as the
// method says:
//
//	Unary    the message and, behind it, the credential; a message "fail N" fails with status N and the credential in its text
//	Collect  takes all messages and answers with their number, their length and their sum
//	Count    "N": N messages, each its number and the credential
//	Talk     each message back, as it comes
//	Mirror   as Talk, and then one message with the credential
//	Wait     answers nothing until the call ends
//	Drip     messages without end
func (o *Origin) serve(_ any, s grpc.ServerStream) (err error) {
	ctx := s.Context()
	name, _ := grpc.MethodFromServerStream(s)
	md, _ := metadata.FromIncomingContext(ctx)
	_, deadline := ctx.Deadline()
	from, _ := peer.FromContext(ctx)
	c := o.begin(&Call{Method: name, Metadata: md.Copy(), Peer: from.Addr.String(), Deadline: deadline})
	sum := sha256.New()
	defer func() {
		o.change(func() {
			c.Done, c.Sum = true, hex.EncodeToString(sum.Sum(nil))
			if err != nil {
				c.End = err.Error()
			}
		})
	}()
	receive := func() ([]byte, error) {
		var m []byte
		err := s.RecvMsg(&m)
		if err == nil {
			sum.Write(m)
			o.change(func() { c.Messages++; c.Bytes += len(m) })
		}
		return m, err
	}
	send := func(m []byte) error { return s.SendMsg(&m) }
	credential := Credential(md)
	_ = s.SetHeader(metadata.Pairs("x-header", "is "+credential, "x-header-bin", "\x00\xfe"+credential))
	s.SetTrailer(metadata.Pairs("x-trailer", "is "+credential, "x-trailer-bin", "\x00"+credential+"\xff"))
	switch method := name[strings.LastIndexByte(name, '/')+1:]; method {
	case "Unary":
		m, err := receive()
		if err != nil {
			return err
		}
		if code, ok := strings.CutPrefix(string(m), "fail "); ok {
			n, _ := strconv.Atoi(code)
			return status.Error(codes.Code(n), "not for "+credential+", 100%")
		}
		return send(append(m, credential...))
	case "Collect":
		for {
			if _, err := receive(); err == io.EOF {
				return send(fmt.Appendf(nil, "%d messages, %d bytes, %x", c.Messages, c.Bytes, sum.Sum(nil)))
			} else if err != nil {
				return err
			}
		}
	case "Count":
		m, err := receive()
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(m))
		for i := range n {
			if err := send(fmt.Appendf(nil, "%d %s", i, credential)); err != nil {
				return err
			}
		}
		return nil
	case "Talk", "Mirror":
		for {
			m, err := receive()
			if err == io.EOF && method == "Mirror" {
				return send([]byte(credential))
			}
			if err == io.EOF {
				return nil
			}
			if err == nil {
				err = send(m)
			}
			if err != nil {
				return err
			}
		}
	case "Wait":
		if _, err := receive(); err != nil {
			return err
		}
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	case "Drip":
		for ctx.Err() == nil {
			if err := send([]byte("one of many")); err != nil {
				return err
			}
		}
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Error(codes.Unimplemented, "no such method")
}

// Credential is what stands behind "Bearer " in a call's authorization.
func Credential(md metadata.MD) string {
	if v := md.Get("authorization"); len(v) == 1 {
		return strings.TrimPrefix(v[0], "Bearer ")
	}
	return ""
}
