package cli

import "strings"

// Variables that point a client at a file of trusted roots, and replace what it would read
// otherwise: they get the merged bundle.
var bundleVariables = []string{
	"SSL_CERT_FILE",                      // OpenSSL, Go, ruby, httpx, aiohttp, uv, gh, codex
	"NIX_SSL_CERT_FILE",                  // programs built by nix
	"CURL_CA_BUNDLE",                     // curl
	"GIT_SSL_CAINFO",                     // git
	"REQUESTS_CA_BUNDLE",                 // requests
	"PIP_CERT",                           // pip
	"HTTPLIB2_CA_CERTS",                  // httplib2
	"WEBSOCKET_CLIENT_CA_BUNDLE",         // websocket-client
	"AWS_CA_BUNDLE",                      // awscli, boto3
	"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", // gcloud
	"CARGO_HTTP_CAINFO",                  // cargo
	"npm_config_cafile",                  // npm
	"YARN_HTTPS_CA_FILE_PATH",            // yarn
	"BUNDLE_SSL_CA_CERT",                 // bundler
	"HEX_CACERTS_PATH",                   // mix
	"JULIA_SSL_CA_ROOTS_PATH",            // julia
	"PERL_LWP_SSL_CA_FILE",               // LWP
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",   // gRPC's C core
	"CODEX_CA_CERTIFICATE",               // codex
	"TWINE_CERT",                         // twine: twine.readthedocs.io, "--cert"
	"CONDA_SSL_VERIFY",                   // conda, over .condarc: docs.conda.io, "ssl_verify"
	"COMPOSER_CAFILE",                    // composer, over composer.json: getcomposer.org/doc/06-config.md#cafile
	"SYSTEM_CERTIFICATE_PATH",            // Haskell's x509-system: stack, cabal's clients
	"MOJO_CA_FILE",                       // Mojolicious: docs.mojolicious.org/Mojo/UserAgent#ca
}

// Variables whose file is added to the roots a client has: they get the CA alone.
var caVariables = []string{"NODE_EXTRA_CA_CERTS", "DENO_CERT"}

// Variables that name the proxy, read in one case by some clients and in the other by others.
var proxyVariables = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY"}

// Variables that stand over a proxy in a client's own settings, as people behind a company's have it, where the common ones stand
// under it: .npmrc (docs.npmjs.com/cli/using-npm/config) and cargo's config.toml (doc.rust-lang.org/cargo/reference/config.html).
var ownProxyVariables = []string{"npm_config_proxy", "npm_config_https_proxy", "CARGO_HTTP_PROXY"}

// Variables without which a client does not look at those: Node (nodejs.org/api/cli.html#node_use_env_proxy1) and Mojolicious
// (docs.mojolicious.org/Mojo/UserAgent/Proxy).
var proxySwitches = []string{"NODE_USE_ENV_PROXY", "MOJO_PROXY"}

// variables is the environment that makes a client go through the proxy and trust it.
// keepProxy leaves out which way it goes.
func (b *blindEnv) variables(keepProxy bool) []variable {
	var vars []variable
	if !keepProxy {
		for _, name := range proxyVariables {
			vars = append(vars, variable{name, b.ProxyURL}, variable{strings.ToLower(name), b.ProxyURL})
		}
		if direct := noProxy(b.BoundHosts); direct != "" {
			vars = append(vars, variable{"NO_PROXY", direct}, variable{"no_proxy", direct}, variable{"npm_config_noproxy", direct})
		}
		for _, name := range ownProxyVariables {
			vars = append(vars, variable{name, b.ProxyURL})
		}
		for _, name := range proxySwitches {
			vars = append(vars, variable{name, "1"})
		}
	}
	for _, name := range bundleVariables {
		vars = append(vars, variable{name, b.CA.Bundle})
	}
	for _, name := range caVariables {
		vars = append(vars, variable{name, b.CA.CA})
	}
	if b.CA.Wgetrc != "" {
		vars = append(vars, variable{"WGETRC", b.CA.Wgetrc})
	}
	return vars
}

// isProxyVariable: the parent's own ways out, also those that only one tool reads.
func isProxyVariable(name string) bool {
	switch strings.ToLower(name) {
	case "http_proxy", "https_proxy", "all_proxy", "no_proxy", "node_use_env_proxy", "mojo_proxy",
		"ftp_proxy", "ws_proxy", "wss_proxy", "socks_proxy", "socks5_proxy",
		"npm_config_proxy", "npm_config_http_proxy", "npm_config_https_proxy", "npm_config_noproxy", "npm_config_no_proxy",
		"yarn_http_proxy", "yarn_https_proxy", "pip_proxy", "cargo_http_proxy",
		"grpc_proxy", "no_grpc_proxy", "cgi_http_proxy",
		"global_agent_http_proxy", "global_agent_https_proxy", "global_agent_no_proxy":
		return true
	}
	return false
}

// undermines: variables that switch a client's certificate check off, or to roots that
// lack the CA. With them the child would work, unprotected, or not at all.
func undermines(name string) bool {
	switch strings.ToLower(name) {
	case "node_tls_reject_unauthorized", "git_ssl_no_verify", "pythonhttpsverify", "npm_config_strict_ssl",
		"yarn_enable_strict_ssl", "bundle_ssl_verify_mode", "perl_lwp_ssl_verify_hostname", "hex_unsafe_https",
		"ssl_cert_dir", "git_ssl_capath", "npm_config_ca", "npm_config_cafile", "bundle_ssl_ca_path", "perl_lwp_ssl_ca_path",
		"pip_trusted_host", "uv_insecure_host", "ssl_no_verify", "mojo_insecure", "composer_capath", "composer_disable_tls":
		return true
	}
	return false
}
