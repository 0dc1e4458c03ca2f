package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// envSecret is one variable that the configuration gives the child.
type envSecret struct {
	Name   string
	Token  string        // the mask, shaped; blind mode only
	Reveal func() string // the real value; called in plain mode, and in blind mode when Expose is exposePlain
	Expose exposure
	Field  bool // a plain field of a JSON secret: by declaration not secret, so not warned about
}

// exposure says what a blind child gets in a secret's variable. Plain mode always gives the value.
type exposure string

const (
	exposeMasked exposure = "masked" // also when empty
	exposePlain  exposure = "plain"
	exposeOmit   exposure = "omit"
)

// caFiles are the public files a client may be pointed at, by the paths the client sees.
type caFiles struct {
	CA         string // the session's CA alone
	Bundle     string // system roots and the CA
	TrustStore string // the same for a JVM, PKCS#12 without a password; empty: none
	NodeProxy  string // what Node.js loads; empty: nothing
	Wgetrc     string // what points wget at the bundle; empty: none
	PHP        string // the same for PHP
}

// blindEnv is what blind mode itself puts into an environment.
type blindEnv struct {
	Session    string
	ProxyURL   string // with its credential
	CA         caFiles
	BoundHosts []string // the host part of every binding's pattern
}

// envSpec is all that a child's environment depends on.
type envSpec struct {
	Parent  []string
	Secrets []envSecret
	Blind   *blindEnv // nil: plain mode

	Clean     bool     // --clean-env
	Keep      []string // --keep-env
	KeepProxy bool     // --no-force-proxy

	// Contains names a managed secret whose value is inside a string, as it is or encoded.
	// Needed in blind mode.
	Contains func(value string) (secret string, ok bool)

	// Credentials are the variables that lead to the values: those the configured backends
	// read. A trailing * stands for any rest. The well-known ones need not be given.
	Credentials []string
	// Sources are the variables of kz's environment that secrets are kept in. No child gets them under that name, unless
	// a secret is given so, or Keep has it.
	Sources []string
	// Managed are the variables of secrets that are configured and not given, by --only for one: the parent's may hold the value.
	Managed []string
}

// envReport says what blind mode took away, by name, in the order of the environment.
type envReport struct {
	Dropped     []string  // look like credentials, but are not managed
	Credentials []string  // lead to the stores
	Held        []heldVar // contained a managed value
	Plain       []string  // secrets given with their real value
}

type heldVar struct{ Name, Secret string }

// variable is one entry of an environment.
type variable struct{ name, value string }

// childEnv computes the child's environment. It is pure: nothing is read from this process.
//
// In plain mode that is the parent's environment, without the variables that are a store, and the secrets over it. In blind mode
// masks stand for values, and everything of the parent's that is a value, leads to one, or
// leads round the proxy is gone; what blind mode sets wins over both the parent and --keep-env.
// Only a secret's name, never a value, is in an error or in the report.
func childEnv(spec envSpec) ([]string, envReport, error) {
	var report envReport
	given, err := secretVariables(spec, &report)
	if err != nil {
		return nil, envReport{}, err
	}
	managed := make(map[string]bool)
	for _, s := range spec.Secrets {
		managed[s.Name] = true // an omitted one too: the parent's may hold the value
	}
	var forced []variable
	if spec.Blind != nil {
		forced = spec.Blind.variables(spec.KeepProxy)
		given = append(given, variable{sessionVariable, spec.Blind.Session})
	}
	replaced := make(map[string]bool)
	for _, v := range forced {
		replaced[v.name] = true
	}
	if err := clashes(spec.Secrets, replaced, spec.Blind != nil); err != nil {
		return nil, envReport{}, err
	}
	given = append(given, forced...)
	if names := spec.given(given); spec.Blind == nil && len(names) > 0 {
		given, replaced[valuesVariable] = append(given, variable{valuesVariable, strings.Join(names, ",")}), true
	}

	var env []string
	for _, v := range inherited(spec) {
		switch {
		case managed[v.name], replaced[v.name]:
		case spec.Blind == nil && spec.leadsToSource(v.name) && !slices.Contains(spec.Keep, v.name):
		case spec.Blind != nil && !spec.mayInherit(v, &report):
		default:
			env = append(env, v.name+"="+v.value)
		}
	}
	if spec.Blind != nil {
		env = mendGitConfig(env)
		env = spec.Blind.javaOptions(env, spec.Keep, spec.KeepProxy)
		if !spec.KeepProxy {
			env = spec.Blind.nodeOptions(env)
		}
		env = spec.Blind.keepWgetrc(env, spec.Parent)
		env = spec.Blind.phpSettings(env)
	}
	for _, v := range given {
		env = append(env, v.name+"="+v.value)
	}
	return env, report, nil
}

// leadsToSource: the variable is one of Sources, or names the file of one.
func (spec *envSpec) leadsToSource(name string) bool {
	inFile, _ := ofFile(name)
	return slices.Contains(spec.Sources, name) || slices.Contains(spec.Sources, inFile)
}

// secretVariables are the variables of the configuration, by mode and exposure.
func secretVariables(spec envSpec, report *envReport) ([]variable, error) {
	var vars []variable
	var errs []error
	for _, s := range spec.Secrets {
		v := variable{name: s.Name}
		switch {
		case spec.Blind == nil:
			v.value = s.Reveal()
		case s.Expose == exposeOmit:
			continue
		case s.Expose == exposePlain:
			v.value = s.Reveal()
			if !s.Field {
				report.Plain = append(report.Plain, s.Name)
			}
		case s.Token == "":
			errs = append(errs, fmt.Errorf("secret %q has no mask", s.Name))
			continue
		default:
			v.value = s.Token
		}
		if strings.IndexByte(v.value, 0) >= 0 {
			errs = append(errs, withHint(fmt.Errorf("the value of secret %q holds a NUL byte, which no environment variable can", s.Name),
				"store it encoded, or pick one field of it with `field`"))
			continue
		}
		vars = append(vars, v)
	}
	return vars, errors.Join(errs...)
}

// completed are the variables in which blind mode adds to what the parent has there.
var completed = []string{nodeOptionsVariable, javaToolOptions, phpScanDir, systemWgetrc}

// clashes refuses a secret whose variable blind mode needs for itself.
func clashes(secrets []envSecret, replaced map[string]bool, blind bool) error {
	var errs []error
	for _, s := range secrets {
		if replaced[s.Name] || blind && (s.Name == sessionVariable || slices.Contains(completed, s.Name)) {
			errs = append(errs, withHint(fmt.Errorf("secret %q has the name of a variable that blind mode sets itself", s.Name),
				"give it another variable with `env`"))
		}
	}
	return errors.Join(errs...)
}

// inherited is the parent's environment, each name once with its last value, cut down by --clean-env.
func inherited(spec envSpec) []variable {
	at := make(map[string]int, len(spec.Parent))
	var vars []variable
	for _, entry := range spec.Parent {
		name, value, ok := splitVar(entry)
		if !ok || spec.Clean && !slices.Contains(cleanVariables, name) && !slices.Contains(spec.Keep, name) {
			continue
		}
		if i, seen := at[name]; seen {
			vars[i].value = value
			continue
		}
		at[name] = len(vars)
		vars = append(vars, variable{name, value})
	}
	return vars
}

// cleanVariables survive --clean-env.
var cleanVariables = []string{"PATH", "HOME", "USER", "SHELL", "TERM", "LANG", "LC_ALL", "TMPDIR", "TZ"}

// mayInherit decides on one variable of the parent's in blind mode.
//
// A managed value goes nowhere, not even by --keep-env: that flag says "this variable too",
// never "this secret unmasked"; for that the configuration has expose = "plain".
func (spec *envSpec) mayInherit(v variable, report *envReport) bool {
	if secret, held := spec.Contains(v.name + "=" + v.value); held {
		report.Held = append(report.Held, heldVar{v.name, secret})
		return false
	}
	switch {
	case v.name == sessionVariable, v.name == hookVariable, v.name == valuesVariable,
		slices.Contains(spec.Managed, v.name), slices.Contains(spec.loaded(), v.name):
		return false
	case isProxyVariable(v.name):
		return spec.KeepProxy
	case slices.Contains(spec.Keep, v.name):
		return true
	case undermines(v.name):
		return false
	case matchesAny(v.name, backendCredentials), matchesAny(v.name, spec.Credentials):
		report.Credentials = append(report.Credentials, v.name)
		return false
	case v.value != "" && (credentialName(v.name) || credentialShape(v.value)):
		report.Dropped = append(report.Dropped, v.name)
		return false
	}
	return true
}

// valuesVariable names the variables in which kz has given an environment real values: what starts there a blind run of
// another directory's configuration has them too, and nothing else may tell what they are.
const valuesVariable = "KZ_VALUES"

// given are the names for that variable, those that were in it already first.
func (spec *envSpec) given(vars []variable) []string {
	before, _ := lastValue(spec.Parent, valuesVariable)
	names := variableNames(before)
	for _, v := range vars {
		if !slices.Contains(names, v.name) {
			names = append(names, v.name)
		}
	}
	return names
}

// loaded are the variables in which kz has given the parent real values, or the shell it was started from.
func (spec *envSpec) loaded() []string {
	values, _ := lastValue(spec.Parent, valuesVariable)
	state, _ := lastValue(spec.Parent, hookVariable)
	_, hooked := hookState(state)
	return append(variableNames(values), hooked...)
}

// mendGitConfig keeps git working: it refuses to run when one of the settings that
// GIT_CONFIG_COUNT promises is missing, so with one dropped all of them go.
func mendGitConfig(env []string) []string {
	const count, key, value = "GIT_CONFIG_COUNT=", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"
	promised, keys, values := "", 0, 0
	for _, e := range env {
		switch {
		case strings.HasPrefix(e, count):
			promised = e[len(count):]
		case strings.HasPrefix(e, key):
			keys++
		case strings.HasPrefix(e, value):
			values++
		}
	}
	if promised == "" || promised == fmt.Sprint(keys) && keys == values {
		return env
	}
	return slices.DeleteFunc(env, func(e string) bool {
		return strings.HasPrefix(e, count) || strings.HasPrefix(e, key) || strings.HasPrefix(e, value)
	})
}

// noProxy lists what a client may reach without the proxy: loopback, unless a binding names it.
func noProxy(boundHosts []string) string {
	var direct []string
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		bound := slices.ContainsFunc(boundHosts, func(b string) bool {
			b = strings.TrimSuffix(strings.ToLower(strings.Trim(b, "[]")), ".")
			if ip, err := netip.ParseAddr(b); err == nil {
				return ip.String() == host
			}
			return b == host || strings.HasSuffix(b, "."+host) // clients read an entry as a suffix
		})
		if !bound {
			direct = append(direct, host)
		}
	}
	return strings.Join(direct, ",")
}

// splitVar takes one entry of an environment apart. Entries without a name are not variables.
func splitVar(entry string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(entry, "=")
	return name, value, ok && name != ""
}
