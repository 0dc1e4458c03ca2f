package cli

import "strings"

// backendCredentials lead to the stores: with them a child could fetch what it is not to have.
var backendCredentials = []string{
	"AWS_*",
	"VAULT_TOKEN", "VAULT_WRAP*", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_CLIENT_KEY", "VAULT_CLIENT_CERT", "VAULT_*_TOKEN",
	"BAO_TOKEN", "BAO_*_TOKEN",
	"OP_*",
	"BW_SESSION", "BW_CLIENTID", "BW_CLIENTSECRET", "BW_PASSWORD", "BWS_ACCESS_TOKEN",
	"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "GCLOUD_KEYFILE_JSON",
	"CLOUDSDK_AUTH_*",
	"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_*", "AZURE_PASSWORD", "AZURE_FEDERATED_TOKEN*",
	"ARM_CLIENT_SECRET", "ARM_ACCESS_KEY", "IDENTITY_HEADER", "IDENTITY_ENDPOINT", "MSI_SECRET", "MSI_ENDPOINT",
	"DOPPLER_TOKEN", "INFISICAL_TOKEN", "INFISICAL_*_CLIENT_SECRET",
	"SOPS_AGE_KEY*", "GNOME_KEYRING_CONTROL",
	"KZ_*_FILE", // see filevars.go
}

// matchesAny compares a name with patterns in which one * stands for any run, also an empty one.
func matchesAny(name string, patterns []string) bool {
	for _, p := range patterns {
		before, after, wild := strings.Cut(p, "*")
		if !wild && name == p {
			return true
		}
		if wild && len(name) >= len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			return true
		}
	}
	return false
}

// credentialName: the name says that the value is a credential, whatever the case.
func credentialName(name string) bool {
	name = strings.ToUpper(name)
	for _, word := range []string{"TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "CREDENTIAL", "CREDENTIALS"} {
		if name == word || strings.HasSuffix(name, "_"+word) {
			return true
		}
	}
	switch name {
	case "PGPASSWORD", "MYSQL_PWD", "SSHPASS", "REDISCLI_AUTH": // well-known ones without the underscore
		return true
	}
	return false
}

// keyShape is a vendor's key format: a prefix at the start of a word, and at least so many
// characters of [A-Za-z0-9_-] after it.
type keyShape struct {
	prefix string
	rest   int
}

// The lengths are well under the vendors' own, and over what an ordinary word reaches.
var keyShapes = []keyShape{
	{"sk-", 16}, {"sk_live_", 10}, {"sk_test_", 10}, {"rk_live_", 10}, {"rk_test_", 10}, {"whsec_", 16}, // OpenAI, Anthropic, Stripe
	{"ghp_", 16}, {"gho_", 16}, {"ghu_", 16}, {"ghs_", 16}, {"ghr_", 16}, {"github_pat_", 16},
	{"glpat-", 16}, {"gldt-", 16}, {"glrt-", 16},
	{"AKIA", 16}, {"ASIA", 16}, {"AIza", 30}, {"ya29.", 16}, {"GOCSPX-", 16},
	{"xoxa-", 10}, {"xoxb-", 10}, {"xoxe-", 10}, {"xoxp-", 10}, {"xoxr-", 10}, {"xoxs-", 10}, {"xapp-", 10}, // Slack
	{"npm_", 30}, {"pypi-", 30}, {"dckr_pat_", 16}, {"hf_", 30}, {"gsk_", 20}, {"xai-", 20}, {"pplx-", 20}, {"r8_", 30},
	{"dop_v1_", 16}, {"doo_v1_", 16}, {"shpat_", 16}, {"SG.", 16}, {"lin_api_", 16}, {"ntn_", 30},
	{"hvs.", 16}, {"hvb.", 16}, {"s.", 24}, {"dp.st.", 16}, {"ops_", 40}, // Vault, Doppler, 1Password
	{"AGE-SECRET-KEY-", 16},
	{"pcsk_", 20}, {"lsv2_", 20}, {"tvly-", 16}, {"apify_api_", 16}, {"NRAK-", 16}, {"glsa_", 16}, {"sbp_", 20}, {"figd_", 16},
	{"PMAK-", 16}, {"dp.pt.", 16}, {"pul-", 20}, {"sntryu_", 20}, {"sntrys_", 20}, {"dckr_oat_", 16}, {"e2b_", 20}, {"ATATT3", 20},
}

// credentialShape: the value holds what is, by its form, a credential: a vendor's key, a
// private key, a JSON web token, an Authorization header, or a URL or connection string with
// a password.
func credentialShape(value string) bool {
	if strings.Contains(value, "PRIVATE KEY-----") || authorization(value) || jsonWebToken(value) ||
		passwordInURL(value) || passwordInDSN(value) {
		return true
	}
	for _, s := range keyShapes {
		if hasKey(value, s) {
			return true
		}
	}
	return false
}

func hasKey(value string, s keyShape) bool {
	for from := 0; ; {
		i := strings.Index(value[from:], s.prefix)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(s.prefix)
		if (i == 0 || !wordByte(value[i-1])) && wordLen(value[end:]) >= s.rest {
			return true
		}
		from = end
	}
}

// jsonWebToken: a base64url JSON object, and another after a full stop (RFC 7519).
func jsonWebToken(value string) bool {
	for from := 0; ; {
		i := strings.Index(value[from:], "eyJ")
		if i < 0 {
			return false
		}
		from += i
		n := wordLen(value[from:])
		if n >= 10 && strings.HasPrefix(value[from+n:], ".eyJ") {
			return true
		}
		from += n
	}
}

// authorization: "Bearer …" or "Basic …", as in GIT_CONFIG_VALUE_0 or a list of extra headers.
func authorization(value string) bool {
	lower := strings.ToLower(value)
	for _, scheme := range []string{"bearer ", "basic ", "bearer%20", "basic%20"} {
		if i := strings.Index(lower, scheme); i >= 0 && wordLen(value[i+len(scheme):]) > 16 {
			return true
		}
	}
	return false
}

// passwordInDSN: a member of a connection string, as ADO, JDBC and Azure storage write them.
func passwordInDSN(value string) bool {
	lower := strings.ToLower(value)
	return strings.Contains(lower, "password=") || strings.Contains(lower, "accountkey=") ||
		strings.Contains(lower, "sharedaccesskey=")
}

// passwordInURL: scheme://user:password@host.
func passwordInURL(value string) bool {
	for {
		_, rest, found := strings.Cut(value, "://")
		if !found {
			return false
		}
		authority := rest
		if end := strings.IndexAny(rest, "/?# \t\r\n\"'"); end >= 0 {
			authority = rest[:end]
		}
		if at := strings.LastIndexByte(authority, '@'); at > 0 {
			if _, password, ok := strings.Cut(authority[:at], ":"); ok && password != "" {
				return true
			}
		}
		value = rest
	}
}

func wordLen(s string) int {
	n := 0
	for n < len(s) && wordByte(s[n]) {
		n++
	}
	return n
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
