package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// numbered is an event that can be told from others.
func numbered(session string, n int) Event {
	return Event{Time: time.Unix(int64(n), 0).UTC(), Session: session, Request: fmt.Sprintf("%s-%d", session, n), Kind: Request, Host: "api.test", Port: 443, Path: fmt.Sprintf("/%d", n)}
}

// session appends n events to the file at path, as one kz does, and returns what it then holds.
func session(t testing.TB, path string, n int) []byte {
	t.Helper()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := f.Write(numbered("s", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(t testing.TB, file []byte) Report {
	t.Helper()
	r, err := Verify(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// whole ends the test unless the chain is whole and has n lines.
func whole(t testing.TB, file []byte, n int) Report {
	t.Helper()
	r := verify(t, file)
	if r.BadLine != 0 || r.Lines != n {
		t.Fatalf("%+v, want %d lines, none of them bad:\n%s", r, n, file)
	}
	return r
}

func TestAChainShowsWhatWasChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	session(t, path, 3)
	file := session(t, path, 3)
	whole(t, file, 6)
	lines := bytes.SplitAfter(file, []byte("\n"))[:6]
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	without := func(n int) []byte { return join(join(lines[:n-1]...), join(lines[n:]...)) }
	var c chain
	var other []byte
	for i := range 2 {
		e := numbered("other", i)
		other = append(other, c.seal(appendEvent(nil, &e))...)
	}
	for _, tt := range []struct {
		name string
		file []byte
		bad  int
		why  string
	}{
		{"a changed line", bytes.Replace(file, []byte(`"/1"`), []byte(`"/7"`), 1), 2, "its hash does not fit"},
		{"a changed last line", join(join(lines[:5]...), bytes.Replace(lines[5], []byte(`"/2"`), []byte(`"/3"`), 1)), 6, "its hash does not fit"},
		{"a changed hash", join(lines[0], bytes.Replace(lines[1], lines[1][len(lines[1])-9:], []byte("000000\"}\n"), 1), lines[2]), 2, "its hash does not fit"},
		{"a removed line", without(3), 3, "it says it is number 4 and comes after number 2: what stood between is missing"},
		{"a removed beginning", without(1), 1, "it says it is number 2: what stood before it is missing"},
		{"a removed session", join(lines[3:]...), 1, "it says it is number 4"},
		{"two lines that changed places", join(lines[0], lines[2], lines[1]), 2, "it says it is number 3"},
		{"a repeated line", join(lines[0], lines[1], lines[1]), 3, "it says it is number 2 and comes after number 2"},
		{"a line of another chain", join(lines[0], other[bytes.IndexByte(other, '\n')+1:]), 2, "its hash does not fit"},
		{"another chain behind this one", join(file, other), 7, "another chain begins here"},
		{"an added line", join(lines[0], []byte(`{"time":"1970-01-01T00:00:00Z"}`+"\n"), lines[1]), 2, "it is no whole line of an audit"},
		{"an empty line", join(lines[0], []byte("\n"), lines[1]), 2, "it is no whole line of an audit"},
		{"a line that was cut", join(lines[0], lines[1][:40], []byte("\n"), lines[2]), 2, "it is no whole line of an audit"},
		{"an end without its newline", file[:len(file)-1], 6, "it is incomplete"},
		{"an end that was cut", file[:len(file)-30], 6, "it is incomplete"},
		{"text behind the end", join(file, []byte("x\n")), 7, "it is no whole line of an audit"},
		{"a hash in capitals", join(lines[0][:len(lines[0])-67], bytes.ToUpper(lines[0][len(lines[0])-67:])), 1, "it is no whole line of an audit"},
	} {
		t.Run(tt.name+" is told", func(t *testing.T) {
			t.Parallel()
			if r := verify(t, tt.file); r.BadLine != tt.bad || !strings.Contains(r.Why, tt.why) {
				t.Errorf("%+v, want line %d: %s", r, tt.bad, tt.why)
			}
		})
	}
	t.Run("whole lines cut off at the end are told by their number and the last hash only", func(t *testing.T) {
		t.Parallel()
		if before, after := verify(t, file), whole(t, join(lines[:4]...), 4); before.Chain == after.Chain || len(after.Chain) != 64 {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
	t.Run("an empty file is whole", func(t *testing.T) {
		t.Parallel()
		if r := whole(t, nil, 0); r.Chain != "" {
			t.Errorf("%+v", r)
		}
	})
}

func TestWhatACrashCutShortIsGoneOnBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := session(t, filepath.Join(dir, "full"), 3)
	last := bytes.LastIndexByte(full[:len(full)-1], '\n') + 1
	for name, cut := range map[string]int{
		"after one byte": last + 1, "within the event": last + 60, "within the hash": len(full) - 20, "before the brace": len(full) - 3,
		"within the first line": 30, "after the first byte of all": 1,
	} {
		t.Run("cut "+name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a")
			if err := os.WriteFile(path, full[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			kept := bytes.Count(full[:cut], []byte("\n"))
			got := session(t, path, 2)
			if r := whole(t, got, kept+2); r.Incomplete != 1 {
				t.Errorf("%+v", r)
			}
			if !bytes.HasPrefix(got, append(full[:cut:cut], '\n')) {
				t.Errorf("what was there was not left as it was:\n%s", got)
			}
			if r := verify(t, bytes.Replace(got, full[:cut], full[:cut-1], 1)); r.BadLine == 0 {
				t.Error("what was cut short could be changed")
			}
		})
	}
	t.Run("only its newline", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, full[:len(full)-1], 0o600); err != nil {
			t.Fatal(err)
		}
		if r := whole(t, session(t, path, 1), 4); r.Incomplete != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("twice in a row, and once behind the newline", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, append(full[:len(full)-40:len(full)-40], "\n{\"time\":\"19\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := whole(t, session(t, path, 1), 3); r.Incomplete != 2 {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzVerify changes one byte of a chain, or cuts it: what is then called whole is the beginning of it.
func FuzzVerify(f *testing.F) {
	f.Add("s", "/a\"\n\x00é", 3, uint(10), byte(1), false)
	f.Add("", `","seq":1,"chain":"`, 2, uint(0), byte(0x80), true)
	f.Add(",\"chain\":\"\"}\n{", "\n", 1, uint(500), byte(3), false)
	f.Fuzz(func(t *testing.T, name, path string, n int, at uint, flip byte, cut bool) {
		var c chain
		var file []byte
		for i := range 1 + uint(n)%4 {
			e := numbered(name, int(i))
			e.Path = path
			file = append(file, c.seal(appendEvent(nil, &e))...)
		}
		if r := verify(t, file); r.BadLine != 0 || r.Chain != c.hex() {
			t.Fatalf("%+v for\n%s", r, file)
		}
		at %= uint(len(file))
		changed := bytes.Clone(file)
		if changed[at] ^= flip; cut {
			changed = changed[:at]
		}
		if r := verify(t, changed); r.BadLine == 0 && !bytes.HasPrefix(file, changed) {
			t.Fatalf("%+v for\n%s\nwhich was\n%s", r, changed, file)
		}
	})
}
