package truststore

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"kz/ca"
)

// keptCertificate is an authority as `kz ca install` makes it.
func keptCertificate(t testing.TB, hosts ...string) (*ca.Authority, *x509.Certificate) {
	t.Helper()
	if len(hosts) == 0 {
		hosts = []string{"kz-truststore.test"}
	}
	a, err := ca.New(ca.Options{Lifetime: ca.KeptLifetime, PermittedHosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	return a, a.Certificate()
}

// fakeStore fails where it is told to and remembers what was asked of it.
type fakeStore struct {
	state                   State
	missing                 bool
	addErr, removeErr       error
	addLeaves, removeLeaves State // states after a step; the zero value stands for the right one
	asked                   []string
}

func (f *fakeStore) name() string { return "fake" }

func (f *fakeStore) available() (string, bool) { return "somewhere", !f.missing }

func (f *fakeStore) find(*x509.Certificate) (State, error) { return f.state, nil }

func (f *fakeStore) add(*x509.Certificate) error {
	f.asked = append(f.asked, "add")
	if f.addErr == nil {
		f.state = Trusted
	}
	if f.addLeaves != 0 {
		f.state = f.addLeaves
	}
	return f.addErr
}

func (f *fakeStore) remove(*x509.Certificate) error {
	f.asked = append(f.asked, "remove")
	if f.removeErr == nil {
		f.state = Absent
	}
	if f.removeLeaves != 0 {
		f.state = f.removeLeaves
	}
	return f.removeErr
}

func TestInstallAndUninstall(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken tool")
	for name, tt := range map[string]struct {
		uninstall bool
		store     fakeStore
		want      Report // without the error
		asked     string
		err       string
	}{
		"an install is done once":             {store: fakeStore{state: Absent}, want: Report{State: Trusted, Changed: true}, asked: "add"},
		"a second install changes nothing":    {store: fakeStore{state: Trusted}, want: Report{State: Trusted}},
		"an interrupted install is completed": {store: fakeStore{state: Partial}, want: Report{State: Trusted, Changed: true}, asked: "add"},
		"a failed install that left something is put back": {store: fakeStore{state: Absent, addErr: broken, addLeaves: Partial},
			want: Report{State: Absent}, asked: "add remove", err: "fake store: broken tool"},
		"a failed install that left nothing stays so": {store: fakeStore{state: Absent, addErr: broken}, want: Report{State: Absent}, asked: "add", err: "broken tool"},
		"an install is believed only when the store lists it": {store: fakeStore{state: Absent, addLeaves: Partial},
			want: Report{State: Absent}, asked: "add remove", err: "does not list it"},
		"a store that is not there is left alone": {store: fakeStore{missing: true, state: Absent}, want: Report{State: Unavailable}},

		"a removal is done once":                {uninstall: true, store: fakeStore{state: Trusted}, want: Report{State: Absent, Changed: true}, asked: "remove"},
		"a second removal asks for nothing":     {uninstall: true, store: fakeStore{state: Absent}, want: Report{State: Absent}},
		"an interrupted install can be removed": {uninstall: true, store: fakeStore{state: Partial}, want: Report{State: Absent, Changed: true}, asked: "remove"},
		"a removal that leaves something says so": {uninstall: true, store: fakeStore{state: Trusted, removeLeaves: Partial},
			want: Report{State: Partial}, asked: "remove", err: "something of it is still there"},
		"a removal that fails says why": {uninstall: true, store: fakeStore{state: Trusted, removeErr: broken}, want: Report{State: Trusted}, asked: "remove", err: "broken tool"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do := install
			if tt.uninstall {
				do = uninstall
			}
			_, cert := keptCertificate(t)
			second := &fakeStore{missing: true}
			reports, err := each([]store{&tt.store, second}, func(s store, r *Report) error { return do(s, r, cert) }, cert)
			if len(reports) != 2 || reports[1].State != Unavailable || second.asked != nil {
				t.Errorf("reports %+v", reports)
			}
			got := reports[0]
			if !errors.Is(err, got.Err) || (got.Err == nil) != (tt.err == "") || got.Err != nil && !strings.Contains(got.Err.Error(), tt.err) {
				t.Errorf("error %v (joined %v), want %q", got.Err, err, tt.err)
			}
			tt.want.Store, tt.want.Note, tt.want.Err = "fake", "somewhere", got.Err
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if asked := strings.Join(tt.store.asked, " "); asked != tt.asked {
				t.Errorf("asked for %q, want %q", asked, tt.asked)
			}
		})
	}
}

func TestInstallRefusesAnAuthorityThatCouldCertifyAnything(t *testing.T) {
	t.Parallel()
	make := func(o ca.Options) *x509.Certificate {
		a, err := ca.New(o)
		if err != nil {
			t.Fatal(err)
		}
		return a.Certificate()
	}
	hosts := []string{"api.example.com"}
	leafOnly := *make(ca.Options{PermittedHosts: hosts})
	leafOnly.IsCA = false
	deep := *make(ca.Options{PermittedHosts: hosts})
	deep.MaxPathLenZero = false
	for name, cert := range map[string]*x509.Certificate{
		"no constraints":       make(ca.Options{}),
		"no authority":         &leafOnly,
		"may make authorities": &deep,
		"ended": make(ca.Options{PermittedHosts: hosts, Lifetime: time.Hour,
			Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := fit(cert); !errors.Is(err, ErrUnfit) {
				t.Fatalf("got %v, want ErrUnfit", err)
			}
			if reports, err := Install(cert); !errors.Is(err, ErrUnfit) || reports != nil {
				t.Errorf("got %v, %v", reports, err)
			}
		})
	}
}

func TestWithoutRootAndSudoTheErrorSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := mayBecomeRoot(1000)
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "install sudo") {
		t.Errorf("got %v", err)
	}
	if err := mayBecomeRoot(0); err != nil {
		t.Errorf("root: %v", err)
	}
}

func TestToolErrorsQuoteOneSafeLine(t *testing.T) {
	t.Parallel()
	err := toolError([]string{"sudo", "--", "/usr/bin/tee", "/x"}, errors.New("exit status 1"), []byte("first\nlast \x1b[31mline\n"))
	if got, want := err.Error(), "running tee: exit status 1 (last  [31mline)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := toolError([]string{"tee"}, errors.New("no"), nil).Error(); got != "running tee: no" {
		t.Errorf("got %q", got)
	}
	if got := toolError([]string{"tee"}, errors.New("no"), []byte(strings.Repeat("x", 5000))).Error(); len(got) > 250 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestStatesHaveWords(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(Unavailable, Absent, Partial, Trusted); got != "unavailable absent partial trusted" {
		t.Error(got)
	}
}

func firstCertificate(t *testing.T, roots []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(roots)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func endedAuthority(t *testing.T) (*ca.Authority, *x509.Certificate) {
	t.Helper()
	a, err := ca.New(ca.Options{PermittedHosts: []string{"api.example.com"}, Lifetime: time.Hour,
		Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	return a, a.Certificate()
}
