package config

import (
	"fmt"
	"net/netip"
	"time"

	"kz/proxy/policy"
	"kz/resolver"
)

// Config is the merged and validated content of all files. It does not change after Load.
type Config struct {
	// Backends holds the configured backends by name, and those that a `provider` shorthand stands for.
	Backends map[string]Backend
	// Secrets holds one entry per environment variable, in the order of the files. An entry with `fields` or
	// `plain_fields` has become one Secret for each of them.
	Secrets []Secret
	Egress  Egress
	// Sources lists the files that were read: the user's own file first, each later one laid over those before it.
	Sources []Source
	// EnvName is the environment section that was laid over the rest; "" when none was.
	EnvName string
	// Environments lists the sections that the files define, sorted.
	Environments []string

	files []loaded // parallel to Sources
}

// Backend is a connection to a store.
type Backend struct {
	Name string
	// Type is one of the names that Types lists.
	Type string
	// Dir is the directory of the file that gave the type. Settings that are paths are absolute already.
	Dir string
	// Settings holds what was given, by the keys of Types.
	Settings map[string]Setting
	Pos      Pos
}

// Setting is one setting of a backend: a value, or the variable name of the secret that supplies it.
type Setting struct {
	Value  any // string, int or []string; nil when Secret is set
	Secret string
	Pos    Pos
}

// Text is the setting as text; "" when it was not given or is chained.
func (b Backend) Text(key string) string {
	s, _ := b.Settings[key].Value.(string)
	return s
}

// Number is the setting as a number; 0 when it was not given.
func (b Backend) Number(key string) int {
	n, _ := b.Settings[key].Value.(int)
	return n
}

// List is the setting as a list; nil when it was not given. It must not be changed.
func (b Backend) List(key string) []string {
	list, _ := b.Settings[key].Value.([]string)
	return list
}

// Secret is one environment variable: where its value lives and where it may go.
type Secret struct {
	// Name is the variable that the child sees.
	Name string
	// Label is the name of the entry in the file, which several secrets share when the entry has `fields`.
	Label   string
	Backend string
	Ref     resolver.Ref
	// Hosts is empty when the file gives none and no known service does; Blind says for which secrets that is an error.
	Hosts []policy.HostPattern
	// Service names the known service that Hosts are from; "" when the file gives them, or nobody.
	Service string
	// Places is never empty: without `swap` it holds those of a known service, or policy.DefaultPlaces.
	Places []policy.Place
	Mask   string // template with one {mask}; "" for the bare mask
	Expose string // "masked", "omit" or "plain"
	// Plain marks a member of `plain_fields`: real in the child, neither masked nor scrubbed nor warned about.
	Plain bool
	// Signs marks a part of `export_as`: with it the program signs what it sends, so that a mask is of no use to it.
	Signs  bool
	Scrub  bool
	Ranges bool
	// TTL is negative when the file gives none; 0 means that the value is never cached.
	TTL time.Duration
	// MaxStale is 0 when the file gives none. An explicit "0s" is one nanosecond.
	MaxStale time.Duration
	Pos      Pos
}

// Masked reports whether a blind child gets a mask for s.
func (s Secret) Masked() bool { return s.Expose == ExposeMasked && !s.Plain }

// What a blind child gets for a secret.
const (
	ExposeMasked = "masked"
	ExposeOmit   = "omit"
	ExposePlain  = "plain"
)

// Egress says which destinations may be reached, and how.
type Egress struct {
	Mode         string // "permissive", "strict" or "" when not given
	Intercept    string // "bound", "all" or "" when not given
	Allow, Deny  []policy.HostPattern
	AllowPrivate []netip.Prefix
	Resolve      []policy.Pin
	// UpstreamCA is an absolute path, or "".
	UpstreamCA string
	// UpstreamProxy is an http or https URL without user and path, or "".
	UpstreamProxy string
}

// Source is one file that was read.
type Source struct {
	Path     string // absolute, as found
	RealPath string // with symbolic links followed: what was opened
	SHA256   string // lower-case hex, of exactly the bytes that were parsed
	// Supplied is a hash, in the same form, of the hosts and places that known services give to the secrets of a discovered
	// file; "" when they give none.
	Supplied string
	// Discovered is true for files found in a workspace, which must be approved; false for the file given with
	// --config and for the user's own file.
	Discovered bool
}

// Approval is what a person approves: the bytes of the file, and what known services add to it.
func (s Source) Approval() string {
	if s.Supplied == "" {
		return s.SHA256
	}
	return s.SHA256 + "+" + s.Supplied
}

// Pos is a place in a file. Columns count characters from 1.
type Pos struct {
	File         string // as shown to a person
	Line, Column int
}

// String is file:line:column, or only the file when there is no line.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}
