package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"kz/proxy/policy"
)

// The codes that the edge itself gives, beside those of policy.
const (
	codeProxyCredential      policy.Code = "proxy_credential"
	codeValueUnfit           policy.Code = "value_unfit"
	codePrivateAddress       policy.Code = "private_address"
	codeSignatureUnsupported policy.Code = "signature_unsupported"
	codeMethodRefused        policy.Code = "method_refused"
	codeAuthorityMismatch    policy.Code = "authority_mismatch"
	codeAuditUnavailable     policy.Code = "audit_unavailable"
	codeUpstreamUnverified   policy.Code = "upstream_unverified"
	codeUpstreamUnreachable  policy.Code = "upstream_unreachable"
	codeResponseUnscannable  policy.Code = "response_unscannable"
	codeSecretUnavailable    policy.Code = "secret_unavailable"
	codeUpstreamTimeout      policy.Code = "upstream_timeout"
)

var statusOf = map[policy.Code]int{
	codeProxyCredential:      http.StatusProxyAuthRequired,
	policy.EgressDenied:      http.StatusForbidden,
	policy.HostNotBound:      http.StatusForbidden,
	policy.PlaceNotDeclared:  http.StatusForbidden,
	policy.MaskUnknown:       http.StatusForbidden,
	policy.Cleartext:         http.StatusForbidden,
	codeValueUnfit:           http.StatusForbidden,
	codePrivateAddress:       http.StatusForbidden,
	codeSignatureUnsupported: http.StatusForbidden,
	codeMethodRefused:        http.StatusMethodNotAllowed,
	policy.RequestInvalid:    http.StatusBadRequest,
	codeAuthorityMismatch:    http.StatusMisdirectedRequest,
	codeAuditUnavailable:     http.StatusServiceUnavailable,
	codeUpstreamUnverified:   http.StatusBadGateway,
	codeUpstreamUnreachable:  http.StatusBadGateway,
	codeResponseUnscannable:  http.StatusBadGateway,
	codeSecretUnavailable:    http.StatusServiceUnavailable,
	codeUpstreamTimeout:      http.StatusGatewayTimeout,
}

// refusal is why kz answers a request itself. Its texts hold names of secrets and hosts, never a value, a mask, or what
// an upstream or a store said.
type refusal struct {
	Code    policy.Code
	Message string
	Hint    string
	Secret  string
	Host    string
	close   bool // the connection ends with this answer
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }

func (r *refusal) status() int { return statusOf[r.Code] }

type refusalBody struct {
	Code    policy.Code `json:"code"`
	Message string      `json:"message"`
	Hint    string      `json:"hint"`
	Secret  string      `json:"secret"`
	Host    string      `json:"host"`
	Request string      `json:"request"`
}

func (r *refusal) body(request string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// Strings always encode; a Buffer never fails.
	_ = enc.Encode(map[string]refusalBody{"error": {r.Code, r.Message, r.Hint, r.Secret, r.Host, request}})
	return b.Bytes()
}

func (r *refusal) header(body []byte) http.Header {
	h := http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {strconv.Itoa(len(body))},
		"Kz-Error":       {string(r.Code)},
		"Cache-Control":  {"no-store"},
	}
	if r.Code == codeProxyCredential {
		h.Set("Proxy-Authenticate", `Basic realm="kz"`)
	}
	if r.close {
		h.Set("Connection", "close")
	}
	return h
}

// response is the refusal as goproxy's hooks return it.
func (r *refusal) response(req *http.Request, request string) *http.Response {
	body := r.body(request)
	return &http.Response{
		Status: strconv.Itoa(r.status()) + " " + http.StatusText(r.status()), StatusCode: r.status(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header(body), Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// write answers on w directly.
func (r *refusal) write(w http.ResponseWriter, request string) {
	body := r.body(request)
	for k, v := range r.header(body) {
		w.Header()[k] = v
	}
	w.WriteHeader(r.status())
	_, _ = w.Write(body)
}
