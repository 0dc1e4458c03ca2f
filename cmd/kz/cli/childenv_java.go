package cli

import (
	"net/url"
	"slices"
	"strings"
)

// javaToolOptions is what every JVM since JDK 5 reads, also one inside another program, before its command line. It says on
// standard error that it has done so, with all that stands there, so that nothing secret may. So do the others that a JVM reads
// (JDK_JAVA_OPTIONS, _JAVA_OPTIONS); what is silent is only for one tool (MAVEN_OPTS).
const javaToolOptions = "JAVA_TOOL_OPTIONS"

// javaVariables hold options of JVMs, or of tools that hand them to one. Most come after javaToolOptions and win over it.
var javaVariables = []string{
	javaToolOptions, "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "OPENJ9_JAVA_OPTIONS", "IBM_JAVA_OPTIONS",
	"JAVA_OPTS", "MAVEN_OPTS", "GRADLE_OPTS", "ANT_OPTS", "SBT_OPTS",
}

// Properties that lead round the proxy, or to roots that lack the CA.
var (
	javaProxyProperties = []string{
		"http.proxyHost", "http.proxyPort", "http.proxyUser", "http.proxyPassword", "http.nonProxyHosts",
		"https.proxyHost", "https.proxyPort", "https.proxyUser", "https.proxyPassword", "https.nonProxyHosts",
		"socksProxyHost", "socksProxyPort", "socksProxyVersion", "socksNonProxyHosts",
		"java.net.socks.username", "java.net.socks.password", "java.net.useSystemProxies",
	}
	javaTrustProperties = []string{
		"javax.net.ssl.trustStore", "javax.net.ssl.trustStoreType", "javax.net.ssl.trustStorePassword", "javax.net.ssl.trustStoreProvider",
	}
)

// javaOptions has JVMs go through the proxy and trust it, with the options that env has for them already. A JVM reads no
// proxy variables, and has no property for the credential: see newVouch. Without a truststore nothing changes.
func (b *blindEnv) javaOptions(env, keep []string, keepProxy bool) []string {
	if b.CA.TrustStore == "" {
		return env
	}
	drop := javaTrustProperties
	options := "-Djavax.net.ssl.trustStore=" + javaQuote(b.CA.TrustStore) + " -Djavax.net.ssl.trustStoreType=PKCS12"
	if !keepProxy {
		drop = slices.Concat(javaTrustProperties, javaProxyProperties)
		options = b.javaProxyOptions() + " " + options
	}
	out := env[:0]
	for _, e := range env {
		name, value, _ := splitVar(e)
		if slices.Contains(javaVariables, name) && (name == javaToolOptions || !slices.Contains(keep, name)) {
			had := value
			if value = withoutProperties(value, drop); value == "" && had != "" {
				continue
			}
			if name == javaToolOptions {
				options = strings.TrimLeft(strings.TrimRight(value, " ")+" "+options, " ")
				continue
			}
			e = name + "=" + value
		}
		out = append(out, e)
	}
	return append(out, javaToolOptions+"="+options)
}

// javaProxyOptions are the properties for the proxy. A JVM adds all of loopback to a list of hosts for which there is none, and
// leaves only an empty one alone: with one name of loopback bound, all of them go by the proxy.
func (b *blindEnv) javaProxyOptions() string {
	u, err := url.Parse(b.ProxyURL)
	if err != nil {
		return ""
	}
	direct := ""
	if noProxy(b.BoundHosts) == noProxy(nil) {
		direct = "localhost|127.*|[::1]"
	}
	host, port := u.Hostname(), u.Port()
	return "-Dhttp.proxyHost=" + host + " -Dhttp.proxyPort=" + port + " -Dhttps.proxyHost=" + host + " -Dhttps.proxyPort=" + port + " -Dhttp.nonProxyHosts=" + direct
}

// withoutProperties takes the definitions of properties out of a line of options; the rest stays as it is.
func withoutProperties(line string, properties []string) string {
	options := javaWords(line)
	kept := slices.DeleteFunc(slices.Clone(options), func(option string) bool {
		definition, ok := strings.CutPrefix(strings.NewReplacer(`"`, "", "'", "").Replace(option), "-D")
		name, _, _ := strings.Cut(definition, "=")
		return ok && slices.Contains(properties, name)
	})
	if len(kept) == len(options) {
		return line
	}
	return strings.Join(kept, " ")
}

// javaWords splits a line of options as a JVM does: at white space outside quotes, of either kind.
func javaWords(line string) []string {
	quote := rune(0)
	return strings.FieldsFunc(line, func(r rune) bool {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		}
		return quote == 0 && strings.ContainsRune(" \t\r\n\v\f", r)
	})
}

// javaQuote keeps a path together that has white space or quotes in it.
func javaQuote(s string) string {
	switch {
	case strings.Contains(s, `"`):
		return "'" + s + "'"
	case strings.ContainsAny(s, " \t'"):
		return `"` + s + `"`
	}
	return s
}
