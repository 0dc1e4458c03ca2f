package config

import (
	"strings"
	"testing"
)

func TestASummaryWarnsOfFilesThatABackendTrustsOrSends(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": `
[backends.vault]
type = "hashicorp_vault"
address = "https://vault.corp:8200"
ca_cert = "ca.pem"
auth = "kubernetes"
role = "app"
jwt_path = "/home/user/.ssh/id_ed25519"
`})
	got := tr.mustLoad().Describe()[0].String()
	for _, want := range []string{
		"note: the backend vault is believed by the certificates of this file, whose content is not part of the approval: ca.pem\n",
		"note: the backend vault sends the content of this file to its server: /home/user/.ssh/id_ed25519\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the summary lacks %q:\n%s", want, got)
		}
	}
}
