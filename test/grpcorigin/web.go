package grpcorigin

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Text is the message of the web's methods.
type Text = wrapperspb.StringValue

// webHandler serves kz.test.Web by gRPC, gRPC-Web (its text form too) and Connect:
//
//	Unary  the text and, behind it, the credential; "fail" fails with code aborted and the credential in its text
//	Count  three texts, each with the credential, and a trailer with it
//	Talk   each text back, as it comes
//	Cut    a part of a message, and then a reset of the stream
func (o *Origin) webHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/kz.test.Web/Unary", connect.NewUnaryHandler("/kz.test.Web/Unary", func(_ context.Context, r *connect.Request[Text]) (*connect.Response[Text], error) {
		credential := strings.TrimPrefix(r.Header().Get("Authorization"), "Bearer ")
		if r.Msg.Value == "fail" {
			err := connect.NewError(connect.CodeAborted, errors.New("not for "+credential))
			err.Meta().Set("X-Header", "is "+credential)
			return nil, err
		}
		resp := connect.NewResponse(&Text{Value: r.Msg.Value + " " + credential})
		resp.Header().Set("X-Header", "is "+credential)
		resp.Trailer().Set("X-Trailer", "is "+credential)
		return resp, nil
	}))
	mux.Handle("/kz.test.Web/Count", connect.NewServerStreamHandler("/kz.test.Web/Count", func(_ context.Context, r *connect.Request[Text], s *connect.ServerStream[Text]) error {
		credential := strings.TrimPrefix(r.Header().Get("Authorization"), "Bearer ")
		s.ResponseTrailer().Set("X-Trailer", "is "+credential)
		for range 3 {
			if err := s.Send(&Text{Value: r.Msg.Value + " " + credential}); err != nil {
				return err
			}
		}
		return nil
	}))
	mux.Handle("/kz.test.Web/Talk", connect.NewBidiStreamHandler("/kz.test.Web/Talk", func(_ context.Context, s *connect.BidiStream[Text, Text]) error {
		for {
			m, err := s.Receive()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = s.Send(m)
			}
			if err != nil {
				return err
			}
		}
	}))
	mux.HandleFunc("/kz.test.Web/Cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.WriteString(w, "\x00\x00\x00\x00\x09half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := o.begin(&Call{Method: r.URL.Path, Metadata: metadata.MD{}, Peer: r.RemoteAddr})
		for name, values := range r.Header {
			c.Metadata.Append(name, values...)
		}
		c.Metadata.Append(":protocol", r.Proto)
		defer o.change(func() { c.Done = true })
		if kind, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc-web-text"); ok {
			serveText(mux, w, r, kind)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serveText serves gRPC-Web's text form: base64 both ways, the answer's in pieces that are padded each.
func serveText(next http.Handler, w http.ResponseWriter, r *http.Request, kind string) {
	r = r.Clone(r.Context())
	r.Header.Set("Content-Type", "application/grpc-web"+kind)
	r.Body = io.NopCloser(base64.NewDecoder(base64.StdEncoding, r.Body))
	r.ContentLength = -1
	next.ServeHTTP(&textWriter{ResponseWriter: w, kind: kind}, r)
}

type textWriter struct {
	http.ResponseWriter
	kind string
}

func (w *textWriter) WriteHeader(status int) {
	w.Header().Set("Content-Type", "application/grpc-web-text"+w.kind)
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(status)
}

func (w *textWriter) Write(p []byte) (int, error) {
	w.Header().Set("Content-Type", "application/grpc-web-text"+w.kind)
	_, err := io.WriteString(w.ResponseWriter, base64.StdEncoding.EncodeToString(p))
	return len(p), err
}

func (w *textWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
