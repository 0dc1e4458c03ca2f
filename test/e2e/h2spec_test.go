package e2e_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/origin"
)

// specReport is what h2spec found out, test by test.
type specReport struct {
	tests, passed, skipped int
	failed                 map[string]string // the section and the title of a test → what was expected and what came
}

// TestH2spec runs h2spec, strict cases included, against Go's own server and against the same server through kz.
// Whatever Go's server does right by itself has to be right through kz too.
func TestH2spec(t *testing.T) {
	t.Parallel()
	program := bed.H2spec(t)
	b := bed.New(t)
	server, err := origin.Start(origin.Options{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })

	// h2spec writes the address that it dials into :authority, so that is the host to intercept.
	forwarder, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := forwarder.Addr().String()
	b.Secret("API_KEY", `hosts = ["`+host+`"]`)
	b.Pin(host, server.Addr("tls"))
	if err := os.WriteFile(b.Path("etc/ca.pem"), server.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	kz := kzEntry(t, b)
	forward(t, forwarder, func() (*net.TCPConn, error) { return kz.connect(host) })

	var direct, through specReport
	t.Run("h2spec", func(t *testing.T) {
		t.Run("directly", func(t *testing.T) { t.Parallel(); direct = h2spec(t, program, server.Addr("tls")) })
		t.Run("through kz", func(t *testing.T) { t.Parallel(); through = h2spec(t, program, host) })
	})
	t.Logf("h2spec       tests passed failed skipped")
	for _, r := range []struct {
		name string
		specReport
	}{{"directly", direct}, {"through kz", through}} {
		t.Logf("%-12s %5d %6d %6d %7d", r.name, r.tests, r.passed, len(r.failed), r.skipped)
	}
	if direct.tests < 146 || through.tests != direct.tests || through.skipped > direct.skipped {
		t.Error("not every test was run")
	}
	for _, name := range slices.Sorted(maps.Keys(through.failed)) {
		if _, ok := direct.failed[name]; ok {
			t.Logf("as Go's server: %s", name)
			continue
		}
		t.Errorf("through kz only: %s\n%s", name, through.failed[name])
	}
	lines := b.Audit()
	if len(lines) < direct.passed/2 || lines[0].Kind == "tunnel" {
		t.Errorf("it was not kz that answered: %d audit lines", len(lines))
	}
}

// h2spec runs all tests against a host.
func h2spec(t *testing.T, program, hostport string) specReport {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.xml")
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// It has no way to be given roots. That the certificate is the right one is for other tests to say.
	cmd := exec.CommandContext(ctx, program, "-h", host, "-p", port, "-t", "-k", "-S", "-o", "5", "-j", report)
	cmd.Env = []string{"PATH=" + bed.Path}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // a failed test is an exit code
		t.Fatalf("running h2spec: %v", err)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("h2spec wrote no report: %v\n%s", err, out)
	}
	return readReport(t, text)
}

func readReport(t *testing.T, text []byte) specReport {
	t.Helper()
	var suites struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Section string    `xml:"package,attr"`
				Title   string    `xml:"classname,attr"`
				Failure *string   `xml:"failure"`
				Error   *string   `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatalf("reading the report of h2spec: %v", err)
	}
	r := specReport{failed: map[string]string{}}
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			r.tests++
			name := c.Section + ": " + c.Title
			switch {
			case c.Skipped != nil:
				r.skipped++
			case c.Failure != nil:
				r.failed[name] = *c.Failure
			case c.Error != nil:
				r.failed[name] = *c.Error
			default:
				r.passed++
			}
		}
	}
	return r
}

// forward joins each connection that l accepts to one of dial's, until the test ends.
func forward(t *testing.T, l net.Listener, dial func() (*net.TCPConn, error)) {
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := dial()
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in)
					_ = out.CloseWrite()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
}
