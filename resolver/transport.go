package resolver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// Transport classifies an error that came from the network or the system
// instead of a store's answer. It keeps nothing of err's text, which may hold a
// URL with credentials: the message is chosen from a fixed list.
func Transport(err error) *Error {
	if isTimeout(err) {
		return &Error{Kind: TimedOut, Message: "no answer within the time limit", Err: context.DeadlineExceeded,
			Advice: "check that the store can be reached from here, and try again"}
	}
	e := &Error{Kind: Unavailable, Message: "the store cannot be reached",
		Advice: "check the network, the address and the proxy variables (HTTPS_PROXY, NO_PROXY)"}
	var (
		dns         *net.DNSError
		unknownRoot x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		verify      *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		errno       syscall.Errno
	)
	switch {
	case errors.Is(err, context.Canceled):
		e.Message, e.Advice, e.Err = "canceled", "", context.Canceled
	case errors.As(err, &dns):
		e.Message, e.Advice = "the store's host name cannot be resolved", "check the address for a typing error, and the network's DNS"
	case errors.As(err, &hostname):
		e.Message, e.Advice = "the store's certificate is for another host name", "use the host name that the certificate has"
	case errors.As(err, &invalid):
		e.Message, e.Advice = "the store's certificate is not valid", "check its dates and uses, and this machine's clock"
	case errors.As(err, &unknownRoot), errors.As(err, &verify):
		e.Message, e.Advice = "the store's certificate is signed by an unknown authority", "if it is right, add that authority to this machine's trust store" // SSL_CERT_FILE is not read
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"): // net/http has no type for it
		e.Message, e.Advice = "the store does not speak TLS at that address", "check the address: https or http, and the port"
	case errors.As(err, &alert):
		e.Message, e.Advice = "the store refused the TLS handshake", "check whether it asks for a client certificate"
	case errors.As(err, &errno):
		e.Message, e.Err = "the store cannot be reached: "+errno.Error(), errno
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Message, e.Advice = "the store closed the connection before its answer was complete", "try again; check for a proxy in between"
	}
	return e
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// File classifies an error of opening or reading a file. The message names
// the path, which must not be secret.
func File(path string, err error) *Error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Kind: NotFound, Message: "there is no file " + path, Err: fs.ErrNotExist}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Kind: AccessDenied, Message: "no permission to read " + path, Err: fs.ErrPermission}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Transport(err)
	}
	return &Error{Kind: Unavailable, Message: "reading " + path + " is not possible"}
}
