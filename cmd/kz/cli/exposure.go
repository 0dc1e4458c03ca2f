package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kz/cmd/kz/config"
	"kz/resolver/agefile"
)

// wellKnown are the files below the home directory in which credentials usually lie, by the kind of exposed.
var wellKnown = []struct {
	kind  string
	names []string
}{
	{"aws", []string{".aws/credentials", ".aws/sso/cache", ".aws/cli/cache"}},
	{"vault", []string{".vault-token"}},
	{"google", []string{".config/gcloud/application_default_credentials.json"}},
	{"azure", []string{".azure/msal_token_cache.json", ".azure/service_principal_entries.json"}},
	{"git", []string{".config/gh/hosts.yml", ".netrc", ".git-credentials"}},
	{"docker-login", []string{".docker/config.json"}},
	{"kubernetes", []string{".kube/config"}},
	{"registry", []string{".npmrc", ".pypirc", ".cargo/credentials.toml"}},
	{"ssh-key", []string{".ssh/id_ed25519", ".ssh/id_ecdsa", ".ssh/id_rsa"}},
	{"gnupg", []string{".gnupg/private-keys-v1.d"}},
	{"agent", []string{".claude/.credentials.json", ".codex/auth.json", ".gemini/oauth_creds.json", ".local/share/opencode/auth.json", ".config/github-copilot/apps.json"}},
	{"tool", []string{".pgpass", ".my.cnf", ".cache/huggingface/token", ".terraform.d/credentials.tfrc.json", ".config/rclone/rclone.conf", ".config/stripe/config.toml",
		".config/doctl/config.yaml", ".fly/config.yml", ".databrickscfg", ".s3cfg", ".boto"}},
	{"keyring", []string{"Library/Keychains/login.keychain-db"}}, // macOS
}

// exposed is one thing that a program of this user could read or use.
type exposed struct {
	kind string // of a group for which the same is to be done; see exposures
	what string // as a person knows it
	path string // "" when it is no file
}

// exposure lists what a program of this user could read of credentials without asking kz: only what is there and open to
// it. What lies in dotenv files beside the program comes first, then the files of the configuration.
func (a *app) exposure(cfg *config.Config) []string {
	found := a.exposed(cfg)
	var all []string
	for _, c := range a.dotenvCredentials(found) {
		all = append(all, "credentials"+c[strings.LastIndex(c, " in "):])
	}
	slices.Sort(all)
	for _, e := range found {
		all = append(all, e.what)
	}
	return slices.Compact(all)
}

// dotenvCredentials are what the dotenv files here hold of credentials, each as "NAME in FILE", but for those of stores.
func (a *app) dotenvCredentials(found []exposed) (all []string) {
	for _, dir := range a.workDirs() {
		credentials, _ := examineDotenv(dir, func(name string) bool {
			path := filepath.Join(dir, name)
			return isDotenv(name) && !slices.ContainsFunc(found, func(e exposed) bool { return e.kind == "store" && e.path == path })
		})
		all = append(all, credentials...)
	}
	return all
}

// exposed is exposure with the kind of each.
func (a *app) exposed(cfg *config.Config) []exposed {
	home := a.getenv("HOME")
	var found []exposed
	const store = "store"
	file := func(kind, path string) {
		if filepath.IsAbs(path) && accessible(path, false) {
			found = append(found, exposed{kind, underHome(path, home), path})
		}
	}
	for name, b := range cfg.Backends {
		switch {
		case b.Type == config.EnvFile:
			file(store, b.Text("path"))
		case b.Type == config.HashicorpVault && b.Text("auth") == config.AuthKubernetes:
			file(store, cmp.Or(b.Text("jwt_path"), "/var/run/secrets/kubernetes.io/serviceaccount/token"))
		case b.Type == config.GCPSecretManager:
			file(store, b.Text("credentials_file"))
		case b.Type == config.Age && b.Settings["identity"].Secret == "" && (b.Text("identity_file") != "" || a.getenv("SOPS_AGE_KEY") == ""):
			file(store, cmp.Or(b.Text("identity_file"), agefile.DefaultIdentityFile(a.getenv)))
		case b.Type == config.Local:
			path, err := a.localPath(b)
			switch {
			case err != nil:
			case accessible(path+".key", false):
				file(store, path+".key")
			case accessible(path, false):
				found = append(found, exposed{store, "the keychain (key of backend " + name + ")", ""})
			}
		}
	}
	slices.SortFunc(found, func(a, b exposed) int { return strings.Compare(a.what, b.what) })
	for _, what := range openStores(cfg) {
		found = append(found, exposed{store, what, ""})
	}
	for _, group := range wellKnown {
		for _, name := range group.names {
			file(group.kind, filepath.Join(home, name))
		}
	}
	for _, v := range []struct{ kind, name string }{{"aws", "AWS_SHARED_CREDENTIALS_FILE"}, {"google", "GOOGLE_APPLICATION_CREDENTIALS"},
		{"kubernetes", "KUBECONFIG"}, {"aws", "AWS_WEB_IDENTITY_TOKEN_FILE"}, {"azure", "AZURE_FEDERATED_TOKEN_FILE"}} {
		file(v.kind, a.getenv(v.name))
	}
	file("kubernetes", "/var/run/secrets/kubernetes.io/serviceaccount/token")
	for _, entry := range a.environ {
		name, path, _ := splitVar(entry)
		if _, ok := ofFile(name); ok {
			file(store, path)
		}
	}
	if state, err := a.stateDir(); err == nil {
		file("authority", filepath.Join(state, "ca", "authority.pem"))
	}
	socket := func(kind, path, what string) {
		if filepath.IsAbs(path) && accessible(path, true) {
			found = append(found, exposed{kind, what, path})
		}
	}
	socket("ssh-agent", a.getenv("SSH_AUTH_SOCK"), "the SSH agent")
	docker := len(found)
	for _, path := range []string{strings.TrimPrefix(a.getenv("DOCKER_HOST"), "unix://"), "/var/run/docker.sock"} {
		if len(found) == docker {
			socket("docker", path, "docker")
		}
	}
	for _, path := range []string{"/run/podman/podman.sock", "/run/containerd/containerd.sock"} { // root's; a user's own can do no more than the user
		socket("docker", path, strings.TrimSuffix(filepath.Base(path), ".sock"))
	}
	bus, _, _ := strings.Cut(strings.TrimPrefix(a.getenv("DBUS_SESSION_BUS_ADDRESS"), "unix:path="), ",")
	if bus == "" {
		bus = "/run/user/" + strconv.Itoa(os.Getuid()) + "/bus"
	}
	socket("keyring", bus, "the session's bus (keyring)")
	return found
}

// openStores are the backends of the configuration that give any program of this user what they give kz. Neither a
// variable nor a file that kz could withhold leads to them: DBUS_SESSION_BUS_ADDRESS stays in the child, since programs
// need the bus for much else and would find it without.
func openStores(cfg *config.Config) []string {
	var found []string
	for name, b := range cfg.Backends {
		switch {
		case b.Type == config.Keychain:
			found = append(found, "the keychain (backend "+name+")")
		case b.Type == config.Exec:
			found = append(found, "what "+b.Text("command")+" prints (backend "+name+")")
		case b.Type == config.OnePassword && (b.Text("auth") == "" || b.Text("auth") == config.AuthCLI):
			found = append(found, "1Password by op (backend "+name+")")
		}
	}
	slices.Sort(found)
	return found
}

// tellExposure says in one line what the program could still read, as it runs beside its user's files.
func (a *app) tellExposure(cfg *config.Config) {
	if found := a.exposure(cfg); len(found) > 0 {
		a.ui.Notef("not isolated: the program runs as you, and could still read or use %s", strings.ReplaceAll(strings.Join(few(found), ", "), "\n", " "))
	}
}

func underHome(path, home string) string {
	if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(home, "/")+"/"); ok && filepath.IsAbs(home) {
		return "~/" + rest
	}
	return path
}
