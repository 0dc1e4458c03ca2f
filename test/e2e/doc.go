// Package e2e runs real programs under `kz run --blind`, with nothing but the
// environment that kz gives them, against an origin that tells what it received.
package e2e
