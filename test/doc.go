// Package test holds the shape of the house: its tests parse the sources and see
// that the packages import each other only along the arrows that were drawn for
// them.
//
// Below it lies what the other tests stand on:
//
//	run        everything, from nothing: installs, builds, tests; see the script
//	bed        kz built and run with a bundle, an origin and stores, in a clean environment
//	e2e        real clients under `kz run --blind`
//	bench      what kz costs, by the clock: go run ./test/bench startup
//	origin     a TLS upstream that records what it gets and answers in every odd way
//	canary     finds a value in every form it may leak in
//	awsfake    Secrets Manager and STS as a process
//	vaultsrv   a real Vault core as a process, a module of its own
//	gcpclient  Google's own client of Secret Manager, a module of its own
//	manifests  what reads Compose files, pods and Dockerfiles, a module of its own
//	summary    the counts of `go test -json`
package test
