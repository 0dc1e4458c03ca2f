package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kz/cmd/kz/config"
	"kz/resolver/envfile"
)

// dotenvFiles are looked at by kz init, the strongest first.
var dotenvFiles = []string{".env.local", ".env", ".env.example"}

const (
	exampleFile   = ".env.example" // has names, and values that are none
	inEnvironment = "the environment"
)

// surroundings is what kz init found.
type surroundings struct {
	secrets    []foundSecret
	unmanaged  []string // look like credentials in the environment, and are of no known service
	withValues []string // the dotenv files that hold a value of a secret
	unread     []unread
}

// unread is a dotenv file that could not be read, and why; nothing of it is in the error.
type unread struct {
	file string
	err  error
}

// foundSecret is one secret by its variable. Nothing of its value is kept.
type foundSecret struct {
	name, from string
	service    config.Service // of the name; zero when none is known
	ofKey      config.Service // of the value's form, where the name says nothing
	address    bool           // the program itself reads it: a URL with a password in it
}

// needsHosts: a person has to write where it may go.
func (s foundSecret) needsHosts() bool {
	return !s.address && len(s.service.Hosts) == 0 && len(s.ofKey.Hosts) == 0
}

// lookAround finds the secrets of a directory. Values are looked at for their form alone.
func (a *app) lookAround(dir string, names []string) (out surroundings) {
	seen := map[string]bool{}
	add := func(name, value, from string) {
		if seen[name] {
			return
		}
		seen[name] = true
		s := foundSecret{name: name, from: from}
		var known bool
		if s.service, known = config.ServiceOf(name); !known {
			s.address = passwordInURL(value) || passwordInDSN(value) || ofAddress(name)
			s.ofKey, _ = config.ServiceOfKey(value)
		}
		out.secrets = append(out.secrets, s)
	}
	for _, name := range names {
		value, _ := a.lookupEnv(name)
		add(name, value, "")
	}
	for _, file := range dotenvFiles {
		values, err := readDotenv(filepath.Join(dir, file))
		if err != nil {
			out.unread = append(out.unread, unread{file, err})
		}
		real := false
		for _, name := range slices.Sorted(maps.Keys(values)) {
			_, known := config.ServiceOf(name)
			if !isSecretName(name) || !known && !credentialName(name) && !credentialShape(values[name]) {
				continue
			}
			add(name, values[name], file)
			real = real || values[name] != "" && file != exampleFile
		}
		if real {
			out.withValues = append(out.withValues, file)
		}
	}
	for _, v := range slices.Sorted(slices.Values(a.environ)) {
		name, value, ok := splitVar(v)
		if !ok || value == "" || seen[name] || !isSecretName(name) || matchesAny(name, backendCredentials) {
			continue
		}
		if _, known := config.ServiceOf(name); known {
			add(name, value, inEnvironment)
		} else if credentialName(name) || credentialShape(value) {
			seen[name] = true
			out.unmanaged = append(out.unmanaged, name)
		}
	}
	return out
}

// ofAddress: what a variable of this name holds is read by the program itself, so that a mask is of no use.
func ofAddress(name string) bool {
	return strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_URI") || strings.HasSuffix(name, "_DSN")
}

// maxDotenv and maxVariables bound a dotenv file; real ones have a few kilobytes.
const (
	maxDotenv    = 1 << 20
	maxVariables = 1000
)

// readDotenv reads a dotenv file, if there is one. Nothing of its content is in the error.
func readDotenv(path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() { // a pipe would not end
		return nil, errors.New("it is not a regular file")
	}
	var text []byte
	if err == nil {
		var file *os.File
		if file, err = os.Open(path); err == nil {
			defer file.Close()
			text, err = io.ReadAll(io.LimitReader(file, maxDotenv+1))
		}
	}
	var because *fs.PathError
	switch {
	case errors.As(err, &because):
		return nil, because.Err
	case err != nil:
		return nil, err
	case len(text) > maxDotenv:
		return nil, errors.New("it is larger than 1 MiB")
	}
	values, err := envfile.Parse(text)
	if len(values) > maxVariables {
		return nil, fmt.Errorf("it has more than %d variables", maxVariables)
	}
	return values, err
}

// initialStore is the backend of a new configuration.
type initialStore struct {
	name, typ string
	settings  []config.Given
	because   string // the variable that led to it
	own       bool   // it stands in the user's own file
}

// storeNames are the names of backends in a new configuration, where they are not those of their types.
var storeNames = map[string]string{config.AWSSecretsManager: "aws", config.AWSSSM: "ssm", config.HashicorpVault: "vault", config.GCPSecretManager: "gcp",
	config.AzureKeyVault: "azure"}

func storeName(typ string) string {
	if name := storeNames[typ]; name != "" {
		return name
	}
	return typ
}

// chooseStore is the backend that was asked for, else the only one of the user's own file, else the one that the environment
// leads to, else the local store.
func (a *app) chooseStore(f initFlags, dir string, own map[string]config.Backend) (initialStore, error) {
	if f.backend == "" && len(f.settings) == 0 && len(own) == 1 {
		for name, b := range own {
			return initialStore{name: name, typ: b.Type, own: true}, nil
		}
	}
	typ, because := f.backend, ""
	if typ == "" {
		typ, because = a.storeOfEnvironment()
	}
	kind, ok := backendType(typ)
	if !ok || typ == config.AWSSTS {
		return initialStore{}, misuse("the types are "+strings.ReplaceAll(typeNames(), config.AWSSTS+", ", ""), "--backend names no type of backend that keeps secrets")
	}
	settings, err := parseSettings(kind, f.settings, dir, dir)
	if err != nil {
		return initialStore{}, err
	}
	s := initialStore{name: storeName(typ), typ: typ, settings: settings, because: because}
	s.complete(kind, "region", cleanRegion(a.getenv("AWS_REGION"), a.getenv("AWS_DEFAULT_REGION")))
	s.complete(kind, "project", cleanRegion(a.getenv("GOOGLE_CLOUD_PROJECT")))
	if typ == config.HashicorpVault {
		s.complete(kind, "address", cleanURL(a.getenv("VAULT_ADDR")))
	}
	return s, nil
}

func (a *app) storeOfEnvironment() (typ, because string) {
	if a.getenv("VAULT_ADDR") != "" {
		return config.HashicorpVault, "VAULT_ADDR"
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		if a.getenv(name) != "" {
			return config.AWSSecretsManager, name
		}
	}
	return config.Local, ""
}

// complete adds a setting of the type that was not given.
func (s *initialStore) complete(kind config.Type, key, value string) {
	has := slices.ContainsFunc(kind.Settings, func(t config.SettingType) bool { return t.Key == key })
	given := slices.ContainsFunc(s.settings, func(g config.Given) bool { return g.Key == key })
	if value != "" && has && !given {
		s.settings = append(s.settings, config.Given{Key: key, Setting: config.Setting{Value: value}})
	}
}

// cleanRegion is the first of some words that is the name of a region, or of a project.
func cleanRegion(words ...string) string {
	for _, w := range words {
		if w != "" && len(w) <= 32 && strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
			return w
		}
	}
	return ""
}

// cleanURL is of a URL what says where a server is: a user and a password in it are left out.
func cleanURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return ""
	}
	return fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, strings.TrimSuffix(u.EscapedPath(), "/"))
}
