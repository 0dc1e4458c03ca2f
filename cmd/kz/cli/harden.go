package cli

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
)

// ownVariables change how kz itself verifies, resolves or logs. Whoever can set them is not
// the operator (a workspace's .envrc, a parent agent), so kz drops them for itself; a child
// in plain mode still gets them, from app.environ.
//
// Dropping GODEBUG takes effect at once: the runtime re-reads its settings when the variable
// changes. Proxy variables stay, since the stores may only be reachable through them; the
// proxy's own transport takes none from the environment.
var ownVariables = []string{
	"SSL_CERT_FILE", "SSL_CERT_DIR", // crypto/x509 on Linux takes its roots from these
	"SSLKEYLOGFILE",
	"GODEBUG",                                   // weakens TLS and certificate checks
	"RES_OPTIONS", "HOSTALIASES", "LOCALDOMAIN", // the C library's resolver
}

// process is what a hardened process remembers of itself.
type process struct {
	coreLimit uint64   // the soft limit on core dumps before
	name      *os.File // where it can rename itself; nil: nowhere
}

// harden closes this process to others before any secret is loaded: no core dump, no memory
// or environment readable through /proc, no trace and no library's log line on standard error.
//
// The umask is left alone: it would be inherited by the child. Files are created with
// explicit modes instead (files.go). The limit on core dumps is inherited too; the one that
// was found is kept, for the child.
func harden() (p process, err error) {
	for _, name := range ownVariables {
		if err := os.Unsetenv(name); err != nil {
			return process{}, fmt.Errorf("hardening the process: %w", err)
		}
	}
	debug.SetTraceback("none") // as far as the environment lets it; see hideCrashes
	log.SetOutput(io.Discard)  // slog's default logger ends here too
	if p, err = hardenProcess(); err != nil {
		return process{}, fmt.Errorf("hardening the process: %w", err)
	}
	return p, nil
}
