package resolvertest

import "testing"

// Shown says in the log of a test that a store, with one way to log in, passes the conformance suite against something:
// a real server, or a fake that checks the real protocol. auth is "" for a store that has no choice. All are literals, so
// that the table in the README can be checked against the sources; the summary of a test run prints it.
func Shown(t *testing.T, store, auth, against string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() && !t.Skipped() {
			t.Logf("shown: %s | %s | %s", store, auth, against)
		}
	})
}
