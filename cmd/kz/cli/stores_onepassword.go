package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/onepassword"
)

func newOnePassword(a *app, b backend) (resolver.Resolver, error) {
	return onepassword.New(onepassword.Options{
		Auth: b.Text("auth"), Account: b.Text("account"), Token: b.Secret("token"), ConnectHost: b.Text("connect_host"),
		Environ: a.environForStore("OP_*"), Find: func() (string, error) { return a.trustedProgram("op", b.Text("command")) },
	})
}

// trustedProgram finds a program that is given credentials: at path, or by its name on PATH. It never is one of the
// workspace, which whoever works there could put in its place; such a directory of PATH is passed over, as is a
// relative one.
func (a *app) trustedProgram(name, path string) (string, error) {
	dir, err := a.cwd()
	if err != nil {
		return "", &resolver.Error{Kind: resolver.Unavailable, Message: "the working directory cannot be found"}
	}
	workspace := config.Workspace(dir, a.getenv)
	if path != "" {
		if config.Inside(path, workspace) {
			return "", &resolver.Error{Kind: resolver.AccessDenied, Message: fmt.Sprintf("the program %s lies in the workspace, where others may write", path),
				Advice: "name one outside with `command`, or leave that out for the one on PATH"}
		}
		return path, nil
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range filepath.SplitList(a.getenv("PATH")) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && filepath.IsAbs(dir) && info.Mode().IsRegular() && (info.Mode()&0o111 != 0 || runtime.GOOS == "windows") && !config.Inside(path, workspace) {
			return path, nil
		}
	}
	return "", &resolver.Error{Kind: resolver.Unavailable, Message: "there is no program " + name + " on PATH, outside of the workspace",
		Advice: "install the 1Password CLI, or name it in the backend: command = \"/usr/local/bin/op\""}
}
