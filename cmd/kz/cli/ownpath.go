package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"kz/cmd/kz/config"
)

// keepToOwnPath takes those directories out of the PATH of kz itself that are relative, or lie in the workspace: libraries of
// stores start programs by name (az, the credential_process of a profile), with all that kz has, and whoever works there could
// put one of that name into node_modules/.bin or .venv/bin. Children of kz get PATH as it was.
func (a *app) keepToOwnPath() error {
	if runtime.GOOS == "windows" { // what a child is looked for in, there
		return nil
	}
	path, ok := a.lookupEnv("PATH")
	if !ok {
		return nil
	}
	workspace := ""
	if dir, err := a.cwd(); err == nil {
		workspace = config.Workspace(dir, a.getenv)
	}
	var own []string
	for _, d := range filepath.SplitList(path) {
		if filepath.IsAbs(d) && !config.Inside(d, workspace) {
			own = append(own, d)
		}
	}
	return os.Setenv("PATH", strings.Join(own, string(filepath.ListSeparator)))
}
