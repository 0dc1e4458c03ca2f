package cli

import (
	"fmt"
	"strings"

	"kz/cmd/kz/config"
)

const initialHead = `# Which secrets the programs here need, where each is kept and where it may go.
# No value is ever in this file: it may be committed. It holds once a person has
# approved it, with kz trust, and again when it has changed. All its keys are in
# kz help configuration. What is for one machine alone goes into
# .keyzero.local.toml, which is laid over it; keep that out of the repository.

`

// initialText is a new configuration. What is in it was checked to be names, or was given with --set.
func initialText(store initialStore, secrets []foundSecret, project string) string {
	var b strings.Builder
	b.WriteString(initialHead)
	kind, _ := backendType(store.typ)
	if store.own {
		fmt.Fprintf(&b, "# The backend %s, %s, is in the user's own file.\n", store.name, kind.Label)
	} else {
		fmt.Fprintf(&b, "# %s: %s.\n", kind.Label, kind.Help)
		if store.typ == config.Local {
			b.WriteString("# Your projects share it: what has one name in two of them has one value. For\n# one of this project alone write name = \"…\" in the secret.\n")
		}
		b.WriteString(config.BackendText(".toml", store.name, store.typ, store.settings))
	}
	project = plainName(project)
	for _, s := range secrets {
		b.WriteString("\n")
		if s.from != "" {
			fmt.Fprintf(&b, "# in %s\n", s.from)
		}
		fmt.Fprintf(&b, "[secrets.%s]\nbackend = %q\n", s.name, store.name)
		b.WriteString(referenceText(store.typ, s.name, project))
		b.WriteString(s.hostsText())
	}
	if len(secrets) == 0 {
		b.WriteString("\n# A secret is added by kz add, or as here:\n#\n# [secrets.OPENAI_API_KEY]\n# backend = \"" + store.name + "\"\n# hosts = [\"api.openai.com\"]\n")
	}
	return b.String()
}

// referenceText is how a secret is named in a store that does not go by its variable.
func referenceText(typ, name, project string) string {
	word := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	switch typ {
	case config.AWSSecretsManager:
		return fmt.Sprintf("secret_id = %q # its name there: change it if it has another\n", project+"/"+word)
	case config.AWSSSM:
		return fmt.Sprintf("path = %q # its name there: change it if it has another\n", "/"+project+"/"+word)
	case config.HashicorpVault:
		return fmt.Sprintf("path = %q # where it lies: change it if it is elsewhere\nfield = %q\n", "secret/"+project, strings.ToLower(name))
	case config.GCPSecretManager, config.AzureKeyVault:
		return fmt.Sprintf("name = %q # its name there: change it if it has another\n", project+"-"+word)
	case config.OnePassword:
		return fmt.Sprintf("path = %q # vault, item and field: change them\n", "op://Private/"+name+"/credential")
	}
	return ""
}

// hostsText says where a secret may go, or asks for it.
func (s foundSecret) hostsText() string {
	switch {
	case s.address:
		return "expose = \"omit\" # the program itself reads it, so a mask is of no use;\n                # \"plain\" gives a blind program the real one\n"
	case len(s.service.Hosts) > 0:
		return fmt.Sprintf("# %s is known to kz: without hosts it may go to\n# %s\n", s.service.Name, strings.Join(s.service.Hosts, "\n# "))
	case len(s.ofKey.Hosts) > 0:
		return fmt.Sprintf("hosts = [\"%s\"] # the value has the form of %s's\n", strings.Join(s.ofKey.Hosts, `", "`), s.ofKey.Name)
	case s.service.Own != "":
		return fmt.Sprintf("# Where may it go? Each user of %s has a host of their own:\n# hosts = [%q]\n", s.service.Name, s.service.Own)
	}
	return fmt.Sprintf("# Where may it go? Until this is written, it cannot be used blind:\n# hosts = [%q]\n", config.SuggestedHost(s.name))
}

// plainName keeps of a directory's name what every store takes.
func plainName(s string) string {
	s = strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(s)), "-")
	if s == "" || len(s) > 48 {
		return "project"
	}
	return s
}
