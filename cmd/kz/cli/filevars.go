package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"kz/cmd/kz/config"
)

// A variable KZ_NAME_FILE gives the variable NAME to the store that reads it, from a file: as Docker and Kubernetes hand
// secrets to a container. The value stands in no environment but, where a library reads it from there, kz's own.

// variablesOfStores are those that a store of each type logs in with.
var variablesOfStores = []struct {
	types []string
	names []string // as matchesAny takes them
	sdk   bool     // a library reads them, from the environment of the process
}{
	{[]string{config.AWSSecretsManager, config.AWSSSM, config.AWSSTS}, []string{"AWS_*"}, true},
	{[]string{config.AzureKeyVault}, []string{"AZURE_*"}, true},
	{[]string{config.HashicorpVault}, []string{"VAULT_TOKEN"}, false},
	{[]string{config.OnePassword}, []string{"OP_*"}, false},
	{[]string{config.Age}, []string{"SOPS_AGE_KEY"}, false},
}

// nameFiles are variables that name a file already, so that none is needed that names a file with the name of the file.
var nameFiles = []string{
	"AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH",
	"AZURE_FEDERATED_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "SOPS_AGE_KEY_FILE",
}

// maxVariableFile is as much as a secret may have (see resolver/envfile); the kernel takes 128 KiB for one variable.
const maxVariableFile = 64 << 10

// fileVariables are the files behind the variables that stores read. Safe for concurrent use.
type fileVariables struct {
	mu    sync.Mutex
	paths map[string]string // by the variable that the file has the value of
}

func (f *fileVariables) set(name, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paths == nil {
		f.paths = map[string]string{}
	}
	f.paths[name] = path
}

func (f *fileVariables) path(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths[name]
}

// ofFile takes KZ_NAME_FILE apart.
func ofFile(variable string) (name string, ok bool) {
	name, ok = strings.CutPrefix(variable, "KZ_")
	if ok {
		name, ok = strings.CutSuffix(name, "_FILE")
	}
	return name, ok && name != ""
}

// openFileVariables finds the variables that come from files, and reads each of them once: what is wrong shows before a
// store is asked. It is called again when a session reads its configuration again, and then warns of nothing.
func (a *app) openFileVariables(cfg *config.Config, warn bool) error {
	var errs []error
	seen := map[string]bool{}
	for _, entry := range a.environ {
		variable, _, _ := splitVar(entry)
		name, ok := ofFile(variable)
		path := a.getenv(variable)
		if !ok || path == "" || seen[variable] { // compose files give an empty one where nothing is set
			continue
		}
		seen[variable] = true
		if file := namesFile(name); file != "" {
			errs = append(errs, withHint(fmt.Errorf("%s is set, but %s names a file itself", variable, file), "set %s to the path", file))
			continue
		}
		read, sdk, known := readBy(cfg, name)
		switch {
		case !known && warn:
			a.ui.Warnf("%s is not used: no backend reads %s", variable, name)
			continue
		case !read:
			continue
		case a.getenv(name) != "":
			errs = append(errs, withHint(fmt.Errorf("%s and %s are both set", name, variable), "leave one of them out"))
			continue
		}
		value, err := readVariable(path)
		if err != nil {
			errs = append(errs, withHint(fmt.Errorf("reading the file that %s names: %w", variable, err), "%s", fileAdvice(err)))
			continue
		}
		a.files.set(name, path)
		if sdk {
			errs = append(errs, os.Setenv(name, value))
		}
	}
	return errors.Join(errs...)
}

// namesFile is the variable that KZ_name_FILE is mistaken for; "" when it is not.
func namesFile(name string) string {
	switch {
	case slices.Contains(nameFiles, name):
		return name
	case slices.Contains(nameFiles, name+"_FILE") && name != "SOPS_AGE_KEY": // which there is, too
		return name + "_FILE"
	}
	return ""
}

// readBy reports whether a backend of the configuration reads the variable, from the environment of the process at that,
// and whether any type of backend would.
func readBy(cfg *config.Config, name string) (read, sdk, known bool) {
	if slices.Contains(backendVariables(cfg), name) {
		return true, false, true
	}
	for _, v := range variablesOfStores {
		if !matchesAny(name, v.names) {
			continue
		}
		for _, b := range cfg.Backends {
			if slices.Contains(v.types, b.Type) {
				return true, v.sdk, true
			}
		}
		known = true
	}
	return false, false, known
}

var (
	errNotAbsolute = errors.New("the path is not absolute")
	errNotRegular  = errors.New("it is not a regular file")
	errTooLong     = errors.New("it is longer than 64 KiB")
	errEmpty       = errors.New("it is empty")
	errHoldsNUL    = errors.New("it holds a NUL byte")
)

// readVariable reads the value of a variable from a file, without one line break at its end. A link is followed: Kubernetes
// changes secrets by one. No error has anything of the file in it.
func readVariable(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", errNotAbsolute
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that nobody writes to would wait
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errNotRegular
	}
	data, err := io.ReadAll(io.LimitReader(f, maxVariableFile+3))
	if err != nil {
		return "", err
	}
	value := withoutLineEnd(string(data))
	switch {
	case len(value) > maxVariableFile:
		return "", errTooLong
	case value == "":
		return "", errEmpty
	case strings.ContainsRune(value, 0):
		return "", errHoldsNUL
	}
	return value, nil
}

// fileAdvice is what to do about an error of readVariable.
func fileAdvice(err error) string {
	switch {
	case errors.Is(err, errNotAbsolute):
		return "write the whole path, as in /run/secrets/vault_token"
	case errors.Is(err, fs.ErrNotExist):
		return "check the path, and that the secret is mounted there"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("let user %d read it: in a container, give the secret that uid, or mode 0444", os.Geteuid())
	case errors.Is(err, errHoldsNUL), errors.Is(err, errTooLong), errors.Is(err, errNotRegular):
		return "it should hold the value as text, and nothing else"
	}
	return "check what is stored there"
}

// lookupForStore is lookupEnv for a store: what is not in the environment may be in a file, which is read each time, so
// that the value of a secret that was rotated is used at the next login.
func (a *app) lookupForStore(name string) (string, bool) {
	value, ok := a.lookupEnv(name)
	if value != "" {
		return value, true
	}
	if path := a.files.path(name); path != "" {
		if fromFile, err := readVariable(path); err == nil {
			return fromFile, true
		}
	}
	return value, ok
}

func (a *app) getenvForStore(name string) string {
	value, _ := a.lookupForStore(name)
	return value
}

// environForStore is the environment with those variables of the given patterns that come from files.
func (a *app) environForStore(patterns ...string) []string {
	a.files.mu.Lock()
	var names []string
	for name := range a.files.paths {
		if matchesAny(name, patterns) {
			names = append(names, name)
		}
	}
	a.files.mu.Unlock()
	environ := slices.Clone(a.environ)
	for _, name := range names {
		environ = append(environ, name+"="+a.getenvForStore(name))
	}
	return environ
}
