package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/vault"
)

func TestALeaseOfAHundredYearsIsNotOver(t *testing.T) {
	t.Parallel()
	for _, long := range []string{"3153600000", "9223372036854775807"} {
		var logins, reads, renewals atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch _, path, _ := strings.Cut(r.URL.Path, "/v1/"); path {
			case "auth/approle/login":
				logins.Add(1)
				fmt.Fprintf(w, `{"auth":{"client_token":"hvs.t","lease_duration":%s,"renewable":true}}`, long)
			case "sys/internal/ui/mounts/database/creds/app":
				io.WriteString(w, `{"data":{"path":"database/","type":"database"}}`)
			case "database/creds/app":
				reads.Add(1)
				fmt.Fprintf(w, `{"lease_id":"database/creds/app/1","lease_duration":%s,"renewable":true,"data":{"password":"p"}}`, long)
			default:
				renewals.Add(1)
				w.WriteHeader(http.StatusNotFound)
			}
		}))
		t.Cleanup(srv.Close)
		s, err := vault.New(vault.Options{Address: srv.URL, Auth: "approle", RoleID: "r"})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r, err := s.Resolve(t.Context(), resolver.Ref{ID: "database/creds/app", Field: "password"})
			if err != nil || !r.RefreshAt.After(time.Now()) {
				t.Errorf("%s: it is due at %v: %v", long, r.RefreshAt, err)
			}
		}
		if logins.Load() != 1 || reads.Load() != 1 || renewals.Load() != 0 {
			t.Errorf("%s: %d logins, %d reads, %d other calls", long, logins.Load(), reads.Load(), renewals.Load())
		}
	}
}
