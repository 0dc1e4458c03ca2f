package origin

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// gitRepo is repo.git, a bare repository with one commit, made on first use.
type gitRepo struct {
	once    sync.Once
	backend string // path of git's CGI program
	err     error
}

// GitDir is where the repositories served on git.test lie; repo.git is one.
func (o *Origin) GitDir() string { return filepath.Join(o.dir, "git") }

func (o *Origin) makeRepo() error {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return fmt.Errorf("finding git: %w", err)
	}
	o.git.backend = filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	repo := filepath.Join(o.GitDir(), "repo.git")
	const history = `commit refs/heads/main
committer origin <origin@git.test> 1700000000 +0000
data 5
first
M 100644 inline README
data 6
hello
`
	steps := []struct {
		stdin string
		args  []string
	}{
		{"", []string{"init", "-q", "--bare", "-b", "main", repo}},
		{"", []string{"-C", repo, "config", "http.receivepack", "true"}},
		{history, []string{"-C", repo, "fast-import", "--quiet"}},
	}
	for _, s := range steps {
		cmd := exec.Command("git", s.args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
		cmd.Stdin = strings.NewReader(s.stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running git %s: %w: %s", s.args[0], err, out)
		}
	}
	return nil
}

// gitHTTP serves /repo.git/… (or /git/repo.git/…) by git http-backend.
func (o *Origin) gitHTTP(w http.ResponseWriter, r *http.Request) {
	o.git.once.Do(func() { o.git.err = o.makeRepo() })
	if o.git.err != nil {
		http.Error(w, o.git.err.Error(), http.StatusNotImplemented)
		return
	}
	user, _, _ := r.BasicAuth()
	in := r.Clone(r.Context())
	in.URL.Path = strings.TrimPrefix(in.URL.Path, "/git")
	// CGI knows no chunks; without a length the backend reads to the end.
	in.TransferEncoding = nil
	h := cgi.Handler{
		Path: o.git.backend,
		Dir:  o.GitDir(),
		Env: []string{
			"GIT_PROJECT_ROOT=" + o.GitDir(), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user,
			"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		},
		Stderr: discard{},
	}
	h.ServeHTTP(w, in)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
