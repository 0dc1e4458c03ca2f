package audit

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLinesCarryTheContractsFields(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "a.jsonl")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(Event{Time: time.Unix(0, 0).UTC(), Session: "s", Request: "r", Kind: Refusal, Method: "GET", Host: "api.test", Port: 443,
		Path: "/<{KEY}>", Status: 403, Swapped: []Swapped{{"KEY", "header:Authorization"}}, Withheld: []Withheld{{"B", "body", "why"}},
		Scrubbed: []Scrubbed{{"KEY", "body", 2}}, Code: "cleartext", Reason: "because"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"1970-01-01T00:00:00Z","session":"s","request":"r","kind":"refusal","method":"GET","host":"api.test","port":443,"path":"/<{KEY}>",` +
		`"status":403,"bytes_out":0,"bytes_in":0,"duration_ms":0,"swapped":[{"secret":"KEY","place":"header:Authorization"}],` +
		`"withheld":[{"secret":"B","place":"body","reason":"why"}],"scrubbed":[{"secret":"KEY","where":"body","count":2}],"code":"cleartext","reason":"because"`
	sum := sha256.Sum256(append(make([]byte, sha256.Size), want+`,"seq":1`...))
	want += fmt.Sprintf(`,"seq":1,"chain":"%x"}`, sum) + "\n"
	if string(got) != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory mode %v, %v", info.Mode(), err)
	}
}

func TestConcurrentLinesStayWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if err := f.Write(Event{Kind: Request, Path: strings.Repeat("x", 5000)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n, sc := 0, bufio.NewScanner(file)
	for sc.Scan() {
		var e Event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 800 {
		t.Errorf("%d lines", n)
	}
}

func TestASymbolicLinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "a.jsonl")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(filepath.Join(dir, "a.jsonl")); err == nil {
		t.Error("the link was followed")
	}
}

func TestTheFirstFailureStays(t *testing.T) {
	t.Parallel()
	f, err := OpenFile("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	if f.Err() != nil {
		t.Fatal("an error before any write")
	}
	if f.Write(Event{}) == nil || f.Err() == nil {
		t.Error("a full disk went unnoticed")
	}
}
