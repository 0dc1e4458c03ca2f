package proxy

import (
	"reflect"
	"testing"
)

// TestEveryDefaultOfGoproxyIsOurs holds each exported field of goproxy's server to what kz wants. One that is new in another
// version fails it, until newGoproxy sets it and it is named here.
func TestEveryDefaultOfGoproxyIsOurs(t *testing.T) {
	// What goproxy would take from the environment.
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	t.Setenv("https_proxy", "http://127.0.0.1:9")
	p := &Proxy{transports: newTransports(&dialer{})}
	g := p.newGoproxy()
	none := map[string]bool{ // nil, false or zero
		"KeepDestinationHeaders": true, "Verbose": true, "ConnectionErrHandler": true, "ConnectDial": true, "ConnectDialWithReq": true, "CertStore": true,
		"KeepHeader": true, "AllowHTTP2": true, "PreventCanonicalization": true,
	}
	set := map[string]bool{"Logger": true, "NonproxyHandler": true, "Tr": true, "KeepAcceptEncoding": true}
	v := reflect.ValueOf(g).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch name := field.Name; {
		case !field.IsExported():
		case none[name] && !v.Field(i).IsZero():
			t.Errorf("%s is set", name)
		case set[name] && v.Field(i).IsZero():
			t.Errorf("%s is not set", name)
		case !none[name] && !set[name]:
			t.Errorf("goproxy has a field %s that nobody has decided about: set it in newGoproxy", name)
		}
		delete(none, field.Name)
		delete(set, field.Name)
	}
	if len(none)+len(set) > 0 {
		t.Errorf("goproxy has these no more: %v %v", none, set)
	}
	if g.Tr != p.transports.h1 {
		t.Error("goproxy has a transport of its own")
	}
}
