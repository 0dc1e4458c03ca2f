package cli

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The variables that lead to what kz adds to the settings of wget and PHP.
const (
	systemWgetrc = "SYSTEM_WGETRC"
	phpScanDir   = "PHP_INI_SCAN_DIR"
)

// wgetrc is the settings file of wget, which has no variable for its roots
// (https://www.gnu.org/software/wget/manual/html_node/Wgetrc-Commands.html). It reads this file last.
func wgetrc(bundle string) []byte {
	return []byte("# written by kz: roots of trust that hold the CA of this session\n" +
		"ca_certificate = " + bundle + "\ncheck_certificate = on\nuse_proxy = on\n")
}

// keepWgetrc has wget read the user's own settings before kz's, as those of the system: of that file kz needs neither a copy,
// with the passwords that may be in it, nor a look. Where it does not exist, wget reads the system's.
func (b *blindEnv) keepWgetrc(env, parent []string) []string {
	if b.CA.Wgetrc == "" {
		return env
	}
	const system = systemWgetrc + "="
	own := ""
	for _, e := range parent {
		if name, value, _ := splitVar(e); name == "WGETRC" && value != "" {
			own = value
		} else if name == "HOME" && own == "" && value != "" {
			own = path.Join(value, ".wgetrc")
		}
	}
	if own == "" {
		return env
	}
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, system) })
	return append(env, system+own)
}

// phpINI are settings of PHP, whose curl has no variable for its roots (https://www.php.net/manual/en/curl.configuration.php).
func phpINI(bundle string) []byte {
	return []byte("; written by kz: roots of trust that hold the CA of this session\n" +
		"curl.cainfo = \"" + bundle + "\"\nopenssl.cafile = \"" + bundle + "\"\n")
}

// phpSettings has PHP read kz's settings after all others: the directories that it looks into are a list, in which an empty one
// stands for its own (https://www.php.net/manual/en/configuration.file.php).
func (b *blindEnv) phpSettings(env []string) []string {
	if b.CA.PHP == "" {
		return env
	}
	const name = phpScanDir + "="
	dir := string(filepath.ListSeparator) + path.Dir(filepath.ToSlash(b.CA.PHP))
	for i, e := range env {
		if strings.HasPrefix(e, name) {
			env[i] = e + dir
			return env
		}
	}
	return append(env, name+dir)
}
