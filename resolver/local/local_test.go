//go:build unix

package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/resolver"
	"kz/resolver/local"
	"kz/resolver/resolvertest"
	"kz/test/bed"
)

const canary = resolvertest.Canary

// keychain is one in memory. err, if set, is what it answers.
type keychain struct {
	mu   sync.Mutex
	kept map[string]string
	err  error
	deaf bool // it takes what is put and forgets it
}

func (k *keychain) Resolve(_ context.Context, ref resolver.Ref) (resolver.Result, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return resolver.Result{}, k.err
	}
	v, ok := k.kept[ref.ID]
	if !ok {
		return resolver.Result{}, &resolver.Error{Kind: resolver.NotFound}
	}
	return resolver.Result{Secret: resolver.NewSecret(v)}, nil
}

func (k *keychain) Put(_ context.Context, ref resolver.Ref, value resolver.Secret) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil && !k.deaf {
		if k.kept == nil {
			k.kept = map[string]string{}
		}
		k.kept[ref.ID] = value.Reveal()
	}
	return k.err
}

func (k *keychain) keys() (keys []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.kept {
		keys = append(keys, v)
	}
	return keys
}

func open(t *testing.T, o local.Options) *local.Store {
	t.Helper()
	s, err := local.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// place is a path in a directory that is not there yet.
func place(t *testing.T) string { return filepath.Join(t.TempDir(), "kz", "local.age") }

func put(t *testing.T, s *local.Store, ref resolver.Ref, value string) {
	t.Helper()
	if err := s.Put(t.Context(), ref, resolver.NewSecret(value)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, s *local.Store, ref resolver.Ref, want string) {
	t.Helper()
	if r, err := s.Resolve(t.Context(), ref); err != nil || r.Secret.Reveal() != want {
		t.Errorf("%v is %.80q, %v, want %.80q", ref, r.Secret.Reveal(), err, want)
	}
}

// fails checks an error, and that it shows nothing.
func fails(t *testing.T, err error, kind resolver.Kind, text string, hidden ...string) {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Error(), text) || e.Hint() == "" {
		t.Errorf("%v is not %s: …%s… with a hint", err, kind, text)
		return
	}
	resolvertest.NoLeak(t, err, append(hidden, canary, "AGE-SECRET-KEY-1")...)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	bed.Program(t, "age")
	resolvertest.Shown(t, "local", "", "files that Debian's age opens")
	for name, chain := range map[string]*keychain{"with a keychain": {}, "without one": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
				o := local.Options{Path: place(t)}
				if chain != nil {
					o.Keychain = chain
				}
				s := open(t, o)
				return resolvertest.Harness{
					Resolver: s,
					Put:      func(t *testing.T, id, value string) { put(t, open(t, o), resolver.Ref{ID: id}, value) },
					Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
						return open(t, local.Options{Path: o.Path, Keychain: silent{}, Timeout: limit, KeyFile: silentKey(t, o)})
					},
				}
			})
		})
	}
}

// silentKey makes a store whose key only the keychain has.
func silentKey(t *testing.T, o local.Options) (keyFile string) {
	put(t, open(t, o), resolver.Ref{ID: "any"}, canary)
	return filepath.Join(filepath.Dir(o.Path), "none")
}

// silent is a keychain that never answers and heeds nothing.
type silent struct{}

func (silent) Resolve(context.Context, resolver.Ref) (resolver.Result, error) {
	time.Sleep(2 * time.Second)
	return resolver.Result{}, errors.New("late")
}

func (silent) Put(context.Context, resolver.Ref, resolver.Secret) error { return errors.New("none") }

func TestPut(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, local.Options{Path: path})
	fails(t, s.Check(t.Context()), resolver.NotFound, "no local store yet")
	put(t, s, resolver.Ref{ID: "A"}, "one-"+canary)
	put(t, s, resolver.Ref{ID: "B"}, "two-"+canary)
	put(t, s, resolver.Ref{ID: "A"}, "three-"+canary)
	put(t, s, resolver.Ref{ID: "J", Field: "token"}, "four-"+canary)
	put(t, s, resolver.Ref{ID: "J", Field: "site"}, "five")
	bytes := "\x00\xff\xfe any bytes \r\n\x80"
	put(t, s, resolver.Ref{ID: "bytes"}, bytes)
	put(t, s, resolver.Ref{ID: "empty"}, "")
	put(t, s, resolver.Ref{ID: "op://vault/item/ü field"}, strings.Repeat("x", 1<<16))
	for name, again := range map[string]*local.Store{"the store": s, "another process": open(t, local.Options{Path: path})} {
		t.Run(name, func(t *testing.T) {
			expect(t, again, resolver.Ref{ID: "A"}, "three-"+canary)
			expect(t, again, resolver.Ref{ID: "B"}, "two-"+canary)
			expect(t, again, resolver.Ref{ID: "J", Field: "token"}, "four-"+canary)
			expect(t, again, resolver.Ref{ID: "J"}, `{"site":"five","token":"four-`+canary+`"}`)
			expect(t, again, resolver.Ref{ID: "bytes"}, bytes)
			expect(t, again, resolver.Ref{ID: "empty"}, "")
			expect(t, again, resolver.Ref{ID: "op://vault/item/ü field"}, strings.Repeat("x", 1<<16))
		})
	}
	fails(t, s.Put(t.Context(), resolver.Ref{}, resolver.NewSecret(canary)), resolver.InvalidReference, "no name")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "A\xff"}, resolver.NewSecret(canary)), resolver.InvalidReference, "UTF-8")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "A", Field: "x"}, resolver.NewSecret(canary)), resolver.InvalidReference, "not a JSON object")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "big"}, resolver.NewSecret(canary+strings.Repeat("x", 3<<20))), resolver.InvalidReference, "3 MiB")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, resolver.Ref{ID: "A"}, resolver.NewSecret("x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	expect(t, s, resolver.Ref{ID: "A"}, "three-"+canary)

	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
		if text, _ := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name())); strings.Contains(string(text), canary) {
			t.Errorf("%s holds a value in plain", e.Name())
		}
	}
	if len(entries) != 3 { // the store, its key and its lock
		t.Errorf("left over: %v", entries)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	var _ resolver.Putter = s
}

func TestAgeOpensTheFile(t *testing.T) {
	t.Parallel()
	path := place(t)
	put(t, open(t, local.Options{Path: path}), resolver.Ref{ID: "A"}, canary)
	out, err := exec.Command(bed.Program(t, "age"), "-d", "-i", path+".key", path).Output()
	var content struct {
		Version int
		Secrets map[string][]byte
	}
	if err != nil || json.Unmarshal(out, &content) != nil || content.Version != 1 || string(content.Secrets["A"]) != canary {
		t.Errorf("%s %v", out, err)
	}
}

func TestPutsAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("KZ_TEST_LOCAL_STORE"); path != "" { // this is one of the processes below
		s := open(t, local.Options{Path: path})
		for i := range 8 {
			put(t, s, resolver.Ref{ID: fmt.Sprintf("%s-%d", os.Getenv("KZ_TEST_LOCAL_NAME"), i)}, "v")
		}
		return
	}
	path := place(t)
	var all sync.WaitGroup
	for p := range 3 {
		all.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestPutsAtTheSameTimeLoseNothing$")
			cmd.Env = []string{"KZ_TEST_LOCAL_STORE=" + path, fmt.Sprintf("KZ_TEST_LOCAL_NAME=process-%d", p), "GORACE=atexit_sleep_ms=0"}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v %s", err, out)
			}
		})
	}
	for g := range 4 {
		all.Go(func() {
			s := open(t, local.Options{Path: path})
			for i := range 8 {
				if err := s.Put(t.Context(), resolver.Ref{ID: fmt.Sprintf("goroutine-%d-%d", g, i)}, resolver.NewSecret("v")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s := open(t, local.Options{Path: path})
	for _, kind := range []string{"process-0", "process-1", "process-2", "goroutine-0", "goroutine-1", "goroutine-2", "goroutine-3"} {
		for i := range 8 {
			expect(t, s, resolver.Ref{ID: fmt.Sprintf("%s-%d", kind, i)}, "v")
		}
	}
}

func TestAPutThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("KZ_TEST_LOCAL_KILLED"); path != "" { // this is the process that is killed
		s := open(t, local.Options{Path: path})
		for i := 0; ; i++ {
			put(t, s, resolver.Ref{ID: fmt.Sprintf("v%d", i)}, canary)
			fmt.Println("stored", i)
		}
	}
	path := place(t)
	for round := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAPutThatIsKilledLosesNothing$")
		cmd.Env = []string{"KZ_TEST_LOCAL_KILLED=" + path, "GORACE=atexit_sleep_ms=0"}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stored := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "stored %d", &stored); err == nil && stored == 2*round {
				_ = cmd.Process.Kill() // in the middle of the next one; what was said before is still read
			}
		}
		if err := cmd.Wait(); err == nil || stored < 2*round {
			t.Fatalf("it ended by itself, after %d: %v", stored, err)
		}
		s := open(t, local.Options{Path: path})
		for i := range stored + 1 {
			expect(t, s, resolver.Ref{ID: fmt.Sprintf("v%d", i)}, canary)
		}
	}
	left := filepath.Join(filepath.Dir(path), ".local.age.123.new")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, local.Options{Path: path}), resolver.Ref{ID: "last"}, canary)
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 3 {
		t.Errorf("left over: %v", entries)
	}
}

func TestAPutThatWaitsForAnotherEndsInTime(t *testing.T) {
	t.Parallel()
	path := place(t)
	put(t, open(t, local.Options{Path: path}), resolver.Ref{ID: "A"}, "before")
	held, err := os.OpenFile(path+".lock", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	s := open(t, local.Options{Path: path, Timeout: 100 * time.Millisecond})
	if err := s.Put(t.Context(), resolver.Ref{ID: "A"}, resolver.NewSecret("after")); resolver.KindOf(err) != resolver.TimedOut {
		t.Error(err)
	}
	expect(t, open(t, local.Options{Path: path}), resolver.Ref{ID: "A"}, "before") // reading needs no lock
}
