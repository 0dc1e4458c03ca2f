// Package policy decides where traffic and secrets may go. It is pure: no I/O, no clock, no log, no values. It knows
// the names of secrets, the hosts they are bound to and the places of a request where they may stand; every answer
// carries the reason for it.
//
// Everything here is immutable once made and safe for concurrent use.
package policy
