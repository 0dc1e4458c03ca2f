package cli

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// programKind is a sort of program, with what mends one that does not come to the proxy, or does not trust the CA.
type programKind struct{ name, direct, distrust string }

// kindOf looks at a program's file: its first line, what Go, bun and deno leave in what they build, and its name.
func kindOf(path string) programKind {
	called := filepath.Base(path) // a link may have the better name: sh, python3
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := buildinfo.ReadFile(path); err == nil {
		return kindNamed("Go program ("+info.GoVersion+")", "go")
	}
	head, foot := ends(path)
	interpreter := ""
	if line, ok := bytes.CutPrefix(head, []byte("#!")); ok {
		first, _, _ := bytes.Cut(line, []byte("\n"))
		words := strings.Fields(string(first))
		for len(words) > 1 && (filepath.Base(words[0]) == "env" || strings.HasPrefix(words[0], "-")) {
			words = words[1:]
		}
		if len(words) > 0 {
			interpreter = filepath.Base(words[0])
		}
	}
	name := cmp.Or(interpreter, called)
	for _, family := range []string{"node", "bun", "deno", "python", "ruby", "java", "bash", "zsh", "dash", "sh"} {
		if strings.TrimRight(name, "0123456789.") != family {
			continue
		}
		switch {
		case interpreter != "":
			return kindNamed("script for "+interpreter, family)
		default:
			return kindNamed(name, family)
		}
	}
	switch {
	case bytes.Contains(foot, []byte("---- Bun! ----")): // what `bun build --compile` ends a program with
		return kindNamed("program built by bun", "bun")
	case bytes.Contains(foot, []byte("d3n0l4nd")): // what `deno compile` ends a program with
		return kindNamed("program built by deno", "deno")
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return kindNamed("native program", "")
	case interpreter != "":
		return kindNamed("script for "+interpreter, "")
	}
	return kindNamed("program", "")
}

// kindNamed takes what mends a family from its probe, where there is one.
func kindNamed(name, family string) programKind {
	k := programKind{name: cut(oneLine(name), 60), // a file says it
		direct:   "let it take its proxy from HTTPS_PROXY; `kz help runtimes` says how for each runtime",
		distrust: "let it take its roots from SSL_CERT_FILE, or add what NODE_EXTRA_CA_CERTS names; one that pins its certificates cannot be used blind. `kz help runtimes` has more"}
	switch family {
	case "bash", "zsh", "dash", "sh":
		k.direct, k.distrust = "look which of the programs that it starts that is: `kz doctor -- THAT PROGRAM`", "look which of the programs that it starts that is: `kz doctor -- THAT PROGRAM`"
		return k
	}
	for _, p := range probes() {
		if family != "" && (p.programs[0] == family || strings.HasPrefix(p.programs[0], family)) {
			k.direct, k.distrust = p.direct, p.distrust
			return k
		}
	}
	return k
}

// ends are the first and the last bytes of a file.
func ends(path string) (head, foot []byte) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	const most = 4 << 10
	head, foot = make([]byte, most), make([]byte, most)
	n, _ := io.ReadFull(f, head)
	m, _ := f.ReadAt(foot, max(0, info.Size()-most))
	return head[:n], foot[:m]
}
