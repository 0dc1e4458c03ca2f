package cli

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"kz/resolver"
)

// How long a person waits before kz says what it waits for: in front of a program, and for a command that only asks the
// stores. From then on the line is brought up to date every progressEvery.
const (
	runPatience    = time.Second
	statusPatience = 300 * time.Millisecond
	progressEvery  = 100 * time.Millisecond
)

// watch shows how far the fetching of the named secrets is.
func (a *app) watch(cache *resolver.Cache, names []string, patience time.Duration) (stop func()) {
	return a.watchLine(patience, func() string { return progressOf(cache.Report(), names) })
}

// watchLine shows what there is to wait for, once that has taken as long as patience, until stop, which leaves nothing
// behind. Only a terminal shows it.
func (a *app) watchLine(patience time.Duration, line func() string) (stop func()) {
	if !a.ui.live {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer a.ui.Progress("")
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for {
			select {
			case <-quit:
				return
			case <-timer.C:
				a.ui.Progress(line())
				timer.Reset(progressEvery)
			}
		}
	}()
	return sync.OnceFunc(func() { close(quit); <-done })
}

// progressOf is, for instance, "resolving 12 secrets: aws 5 of 5, vault 3 of 7 …"; "" when there is nothing to wait for.
func progressOf(report []resolver.Status, names []string) string {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[n] = true
	}
	type count struct{ done, all int }
	counts := map[string]*count{}
	var order []string
	left := false
	for _, s := range report {
		if !wanted[s.Name] {
			continue
		}
		c := counts[s.Backend]
		if c == nil {
			c = &count{}
			counts[s.Backend] = c
			order = append(order, s.Backend)
		}
		c.all++
		if s.Calls > 0 {
			c.done++
		} else {
			left = true
		}
	}
	if !left {
		return ""
	}
	parts := make([]string, len(order))
	for i, name := range order {
		parts[i] = fmt.Sprintf("%s %d of %d", oneLine(name), counts[name].done, counts[name].all)
	}
	return fmt.Sprintf("resolving %s: %s …", plural(len(wanted), "secret"), strings.Join(parts, ", "))
}

// Progress shows a line that the next thing kz says takes the place of; "" takes it away. It is not shown where it could
// not be taken back.
func (u *ui) Progress(line string) {
	if !u.live {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if line == "" {
		u.wipe()
		return
	}
	text := []rune("kz: " + oneLine(u.redact(line)))
	if most := u.columns() - 1; len(text) > most { // a line that wraps could not be taken back
		text = append(text[:most-1], '…')
	}
	if string(text) == u.shown { // written again it would flicker
		return
	}
	u.wipe()
	u.shown = string(text)
	fmt.Fprint(u.w, u.shown)
}

// wipe takes the progress line back, without escape sequences. u.mu is held.
func (u *ui) wipe() {
	if u.shown != "" {
		fmt.Fprint(u.w, "\r"+strings.Repeat(" ", len([]rune(u.shown)))+"\r")
		u.shown = ""
	}
}

// columns is how wide the terminal is; 80 when it does not say, or says something odd.
func (u *ui) columns() int {
	if f, ok := u.w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width >= 20 {
			return width
		}
	}
	return 80
}

// ask puts a question and stays on its line; answered ends that.
func (u *ui) ask(question string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wipe()
	fmt.Fprint(u.w, "kz: "+oneLine(u.redact(question)))
}

func (u *ui) answered() {
	u.mu.Lock()
	defer u.mu.Unlock()
	fmt.Fprintln(u.w)
}
