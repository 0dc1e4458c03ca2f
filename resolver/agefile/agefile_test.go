//go:build unix

package agefile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"kz/resolver"
	"kz/resolver/agefile"
	"kz/resolver/resolvertest"
	"kz/test/bed"
)

// noEnv is an environment in which nothing is set, so that nothing of this machine's is found.
func noEnv(string) string { return "" }

func open(t *testing.T, o agefile.Options) *agefile.Store {
	t.Helper()
	if o.Getenv == nil {
		o.Getenv = noEnv
	}
	s, err := agefile.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, name string, text []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// seal encrypts as age does.
func seal(t *testing.T, text string, armored bool, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	var dst io.Writer = &out
	closeArmor := func() error { return nil }
	if armored {
		w := armor.NewWriter(&out)
		dst, closeArmor = w, w.Close
	}
	w, err := age.Encrypt(dst, to...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), closeArmor()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// lazily is a store whose file is encrypted when it is first read after a change: a test changes it many times.
type lazily struct {
	*agefile.Store
	mu    sync.Mutex
	doc   map[string]json.RawMessage
	dirty bool
	write func(doc map[string]json.RawMessage)
}

func (l *lazily) put(_ *testing.T, id, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	raw, _ := json.Marshal(value)
	if strings.HasPrefix(value, "{") && json.Valid([]byte(value)) {
		raw = []byte(value)
	}
	l.doc[id], l.dirty = raw, true
}

func (l *lazily) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dirty {
		l.write(l.doc)
		l.dirty = false
	}
}

func (l *lazily) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	l.flush()
	return l.Store.Resolve(ctx, ref)
}

func (l *lazily) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	l.flush()
	return l.Store.ResolveBatch(ctx, refs)
}

func (l *lazily) Check(ctx context.Context) error {
	l.flush()
	return l.Store.Check(ctx)
}

// conform runs the conformance suite on files that encrypt makes.
func conform(t *testing.T, name string, plain func(map[string]json.RawMessage) []byte, encrypt func(t *testing.T, recipient, from, to string)) {
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		id := newIdentity(t)
		dir := t.TempDir()
		from, to := filepath.Join(dir, "doc."+name), filepath.Join(dir, "encrypted."+name)
		l := &lazily{doc: map[string]json.RawMessage{}, dirty: true}
		l.Store = open(t, agefile.Options{Path: to, Identity: resolver.NewSecret(id.String())})
		l.write = func(doc map[string]json.RawMessage) {
			if err := os.WriteFile(from, plain(doc), 0o600); err != nil {
				t.Error(err)
			}
			encrypt(t, id.Recipient().String(), from, to)
		}
		return resolvertest.Harness{
			Resolver: l, Put: l.put, Absent: resolver.FieldMissing, Credentials: []string{id.String(), strings.ToLower(id.String())},
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				return open(t, agefile.Options{Path: pipe(t), Identity: resolver.NewSecret(id.String()), Timeout: limit})
			},
		}
	})
}

// pipe is a file that nobody writes to.
func pipe(t *testing.T) (path string) {
	path = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // let the readers end
		if w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			w.Close()
		}
	})
	return path
}

func asJSON(doc map[string]json.RawMessage) []byte {
	text, _ := json.Marshal(doc)
	return text
}

func asDotenv(doc map[string]json.RawMessage) []byte {
	var out bytes.Buffer
	for key, raw := range doc {
		value := string(raw)
		_ = json.Unmarshal(raw, &value) // an object stays as it is
		quoted := strings.NewReplacer("\\", `\\`, "\"", `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "$", `\$`).Replace(value)
		fmt.Fprintf(&out, "%s=\"%s\"\n", strings.ReplaceAll(key, " ", "_"), quoted)
	}
	return out.Bytes()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	ageCommand := func(flags ...string) func(t *testing.T, recipient, from, to string) {
		return func(t *testing.T, recipient, from, to string) {
			run(t, to, exec.Command(bed.Program(t, "age"), append(flags, "-r", recipient, from)...))
		}
	}
	t.Run("a dotenv file of age", func(t *testing.T) {
		t.Parallel()
		bed.Program(t, "age")
		resolvertest.Shown(t, "age", "", "Debian's age, and sops")
		conform(t, "env", asDotenv, ageCommand())
	})
	t.Run("a JSON file of age, armored", func(t *testing.T) {
		t.Parallel()
		bed.Program(t, "age")
		conform(t, "json", asJSON, ageCommand("-a"))
	})
	t.Run("a JSON file of sops", func(t *testing.T) {
		t.Parallel()
		bed.Sops(t)
		conform(t, "json", asJSON, func(t *testing.T, recipient, from, to string) { sops(t, from, to, "--age", recipient) })
	})
}

// run runs a program whose output is the file to. Nothing of this machine's environment reaches it.
func run(t *testing.T, to string, cmd *exec.Cmd) {
	t.Helper()
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + filepath.Dir(to)}
	cmd.Dir = filepath.Dir(to)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v %s", cmd.Args[0], err, errs.String())
	}
	if err := os.WriteFile(to, out.Bytes(), 0o600); err != nil {
		t.Error(err)
	}
}

// sops encrypts a file with the real one.
func sops(t *testing.T, from, to string, flags ...string) {
	t.Helper()
	run(t, to, exec.Command(bed.Sops(t), append(append([]string{"encrypt"}, flags...), from)...))
}
