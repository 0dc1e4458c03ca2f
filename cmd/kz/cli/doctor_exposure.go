package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"kz/cmd/kz/config"
	"kz/masking"
)

// contained is what keeps all of it from a program.
const contained = "or run the agent in a container with `kz proxy` beside it (`kz help containers`)"

// exposures says of each kind of exposed what it means and what to do.
var exposures = []struct {
	kind, why, fix string
	weight         weight
}{
	{"store", "the values of the configuration can be had from it without kz", "keep them in a store that wants more than to be asked by your user, such as Vault or AWS with a login that kz alone has (`kz help stores`), " + contained, weighsWarning},
	{"aws", "all that this login may do in AWS, a program that runs as you may do", "use short logins (`aws sso login`, then `aws sso logout`) in place of keys in files, " + contained, weighsWarning},
	{"vault", "what this token may read, a program that runs as you may read", "remove it (`rm ~/.vault-token`) and let kz log in by itself, as with auth = \"approle\", " + contained, weighsWarning},
	{"google", "all that these credentials may do, a program that runs as you may do", "`gcloud auth application-default revoke` when you do not need them, " + contained, weighsWarning},
	{"azure", "all that this login may do, a program that runs as you may do", "`az logout` when you do not need it, " + contained, weighsWarning},
	{"git", "it is a credential in plain text", "remove it, and give programs a masked one: `kz add GH_TOKEN` or the like, " + contained, weighsWarning},
	{"docker-login", "it holds the login to a registry of images", "use a credential helper (credsStore in that file), " + contained, weighsWarning},
	{"agent", "it is the login of an agent, and every program that the agent starts can read it", "log the agent out, and give it a masked key: `kz add ANTHROPIC_API_KEY` or the like (`kz help agents`)", weighsWarning},
	{"tool", "it is a credential in plain text", "remove it, and give programs a masked one where they take it from a variable: `kz add NAME`, " + contained, weighsWarning},
	{"startup", "every program that runs as you can read that file, and each shell puts the value into the environment of what it starts", "`kz put NAME` stores the value; then take the line out, of a history too", weighsWarning},
	{"kubernetes", "all that it may do in the cluster, a program that runs as you may do", "use logins that end soon (an exec plugin), " + contained, weighsWarning},
	{"registry", "it holds the token of a package registry, with which packages can be published", "write a variable in its place, as //registry.npmjs.org/:_authToken=${NPM_TOKEN}, and give programs a masked one: `kz add NPM_TOKEN`", weighsWarning},
	{"ssh-key", "it has no passphrase", "give it one: `ssh-keygen -p -f FILE`, " + contained, weighsWarning},
	{"gnupg", "its keys sign and decrypt for every program of yours once the agent has the passphrase", "let the agent forget sooner (default-cache-ttl in gpg-agent.conf), " + contained, weighsNote},
	{"authority", "whoever has its key can pose as the hosts that it covers, to what trusts it", "`kz ca uninstall` when you do not need it; kz run --blind does not", weighsNote},
	{"ssh-agent", "a program that runs as you can log in with its keys", "`ssh-add -c` asks you for each use, `ssh-add -D` empties it, `env -u SSH_AUTH_SOCK kz run …` hides it", weighsWarning},
	{"docker", "whoever may use it can be root on this machine, and read everything", "use it rootless, take your user out of its group (docker), " + contained, weighsWarning},
	{"keyring", "an unlocked keyring gives its secrets to every program of yours", "lock it while agents run, " + contained, weighsNote},
	{"dotenv", "it is a credential in plain text in a file that the program works beside", "`kz init` takes the names over and `kz put --missing --from FILE` the values; then remove them there", weighsWarning},
}

// examineExposure says what a program of this user could read without kz.
func (a *app) examineExposure(cfg *config.Config) []finding {
	byKind := map[string][]string{}
	exposed := a.exposed(cfg)
	for _, e := range exposed {
		if e.path == "" || unguarded(e) {
			byKind[e.kind] = append(byKind[e.kind], e.what)
		}
	}
	byKind["dotenv"] = a.dotenvCredentials(exposed)
	byKind["startup"] = a.startupCredentials()
	var found []finding
	for _, x := range exposures {
		if what := byKind[x.kind]; len(what) > 0 {
			slices.Sort(what)
			found = append(found, finding{ID: "exposed-" + x.kind, Weight: x.weight, Why: x.why, Fix: x.fix,
				Title: "a program that runs as you can read or use " + strings.Join(few(slices.Compact(what)), ", ")})
		}
	}
	return found
}

// unguarded reports whether there is a credential in it that nothing more protects, as far as that shows.
func unguarded(e exposed) bool {
	holds := func(words ...string) bool {
		text := readSome(e.path)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch e.kind {
	case "docker-login":
		return holds(`"auth"`, `"identitytoken"`)
	case "registry":
		return holds("_authToken", "_password", "_auth", "password", "token")
	case "agent":
		return !holds(masking.Prefix)
	case "ssh-key":
		return unprotected([]byte(readSome(e.path)))
	case "ssh-agent":
		return agentKeys(e.path) > 0
	}
	return true
}

// unprotected reports whether a private key of SSH can be used without a passphrase.
func unprotected(file []byte) bool {
	block, _ := pem.Decode(file)
	if block == nil {
		return false
	}
	if after, ok := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00")); ok { // PROTOCOL.key of OpenSSH: the cipher's name is first
		return bytes.HasPrefix(after, []byte("\x00\x00\x00\x04none"))
	}
	return block.Headers["DEK-Info"] == "" && block.Type != "ENCRYPTED PRIVATE KEY"
}

// agentKeys asks an SSH agent how many keys it has (draft-miller-ssh-agent: request 11, answer 12).
func agentKeys(path string) uint32 {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte{0, 0, 0, 1, 11}); err != nil {
		return 0
	}
	answer := make([]byte, 9)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[4] != 12 {
		return 0
	}
	return binary.BigEndian.Uint32(answer[5:])
}
