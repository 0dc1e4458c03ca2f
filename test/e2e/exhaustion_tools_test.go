package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/origin"
)

// tool runs a program until it ends or the test does.
func tool(ctx context.Context, t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + bed.Path, "TERM=dumb"}
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() == nil {
		t.Logf("%s: %v", argv[0], err) // it tells by its code how its victim fared
	}
	return string(out)
}

// loaded is a siege, and the address of a listener whose connections are tunnels to it: for programs that cannot speak to a
// proxy. They write the address that they dial as the host, so that is the one to intercept. LOAD_KEY is bound to it.
func loaded(t *testing.T) (s *siege, host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host = l.Addr().String()
	o, err := origin.Start(origin.Options{Hosts: []string{"127.0.0.1"}, NoKeep: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	s = newSiege(t, func(b *bed.Bed) {
		b.Secret("LOAD_KEY", `hosts = ["`+host+`"]`)
		b.Pin(host, o.Addr("tls"))
		if err := os.WriteFile(b.Path("etc/ca.pem"), append(b.Origin.CAPEM(), o.CAPEM()...), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	forward(t, l, func() (*net.TCPConn, error) {
		conn, err := s.dial(host)
		if err != nil {
			return nil, err
		}
		return conn.(*net.TCPConn), nil
	})
	return s, host
}

// TestSlowhttptest runs each of its four tests against kz's own listener, and inside tunnels: slow heads, slow bodies, ranges and
// slow reading.
func TestSlowhttptest(t *testing.T) {
	program := bed.Program(t, "slowhttptest")
	s, inside := loaded(t)
	for _, mode := range []string{"-H", "-B", "-R", "-X"} {
		for where, url := range map[string]string{"the listener": "http://" + s.c.wayOut(t).Host + "/", "a tunnel": "https://" + inside + "/bytes?n=1000000"} {
			t.Run(mode+" "+where, func(t *testing.T) {
				inner := *s
				inner.t = t
				inner.during(func(ctx context.Context) {
					out := tool(ctx, t, program, mode, "-c", "1000", "-r", "500", "-i", "1", "-l", "3", "-p", "2", "-u", url)
					if !strings.Contains(out, "slow HTTP test status") {
						t.Errorf("it did not run: %.300q", out)
					}
				})
			})
		}
	}
	s.over()
}

var succeeded = regexp.MustCompile(`(\d+) succeeded, (\d+) failed`)

// TestH2loadBesideSlowClients has h2load send good requests while a hundred slow clients hold what they can.
func TestH2loadBesideSlowClients(t *testing.T) {
	program := bed.Program(t, "h2load")
	const requests = 4000
	s, host := loaded(t)
	s.during(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		go many(ctx, 100, func(ctx context.Context, i int) error {
			conn, err := slowKinds[i%len(slowKinds)].begin(s)
			if err != nil {
				return err
			}
			<-ctx.Done()
			return conn.Close()
		})
		defer cancel()
		out := tool(ctx, t, program, "-n", strconv.Itoa(requests), "-c", "8", "-m", "16", "-H", "Authorization: Bearer "+s.c.env["LOAD_KEY"], fmt.Sprintf("https://%s/ok", host))
		m := succeeded.FindStringSubmatch(out)
		if m == nil || m[1] != strconv.Itoa(requests) || !strings.Contains(out, fmt.Sprintf("%d 2xx", requests)) {
			t.Errorf("h2load says: %s", out)
		}
	})
	s.over()
}
