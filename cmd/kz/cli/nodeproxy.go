package cli

import (
	_ "embed"
	"strings"
)

// nodeProxy has Node.js use the proxy variables, which it does itself, in part, since 22.21 and 24.5
// (https://nodejs.org/api/cli.html#node_use_env_proxy1). It is the same for every run, and holds nothing of it.
//
//go:embed nodeproxy.cjs
var nodeProxy []byte

// nodeProxyFile is its name among the public files.
const nodeProxyFile = "node-proxy.cjs"

const nodeOptionsVariable = "NODE_OPTIONS"

// nodeOptions has Node.js load nodeProxy, after the options that the environment already has. Without the file nothing changes.
func (b *blindEnv) nodeOptions(env []string) []string {
	if b.CA.NodeProxy == "" {
		return env
	}
	options := "--require " + nodeQuote(b.CA.NodeProxy)
	const name = nodeOptionsVariable + "="
	for i, e := range env {
		if own, found := strings.CutPrefix(e, name); found {
			env[i] = name + strings.TrimLeft(throughProxy(own)+" "+options, " ")
			return env
		}
	}
	return append(env, name+options)
}

// throughProxy is options without the one that goes before NODE_USE_ENV_PROXY and undoes it.
func throughProxy(options string) string {
	const undoes = " --no-use-env-proxy "
	padded := " " + options + " "
	for strings.Contains(padded, undoes) {
		padded = strings.Replace(padded, undoes, " ", 1)
	}
	return strings.Trim(padded, " ")
}

// nodeQuote: Node.js splits NODE_OPTIONS at spaces outside of double quotes; inside, a backslash takes the next byte as it is.
func nodeQuote(path string) string {
	if !strings.ContainsAny(path, ` "`) {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}
