package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kz/cmd/kz/config"
	"kz/proxy/policy"
)

// askSecret asks for all that kz add writes, each with what it takes when nothing is typed.
func (a *app) askSecret(ctx context.Context, cfg *config.Config, f *addFlags) (err error) {
	q := asker{a, ctx}
	if f.variable == "" {
		if f.variable, err = q.ask("the variable that the program reads, as in OPENAI_API_KEY", "", secretName); err != nil {
			return err
		}
	}
	if err := f.check(cfg); err != nil {
		return err
	}
	configured := slices.Sorted(maps.Keys(cfg.Backends))
	preset, choices := config.Local, "as in local, keychain, aws_ssm"
	if len(configured) > 0 {
		preset, choices = configured[0], strings.Join(few(configured), ", ")+", or the type of a new one"
	}
	if f.backend, err = q.ask("where it is kept; "+choices, preset, func(s string) error {
		if _, ok := backendType(s); !ok && !slices.Contains(configured, s) {
			return misuse("the types are "+typeNames(), "what was typed names neither a backend nor a type")
		}
		return nil
	}); err != nil {
		return err
	}
	typ := f.backend
	if b, ok := cfg.Backends[f.backend]; ok {
		typ = b.Type
	}
	kind, _ := backendType(typ)
	if kind.ByName() {
		if f.name, err = q.ask("what it is called there", f.variable, nil); f.name == f.variable {
			f.name = ""
		}
	} else if f.secretID, err = q.ask("what it is called there", "", needed); err == nil {
		f.field, err = q.ask("the field of a JSON value that is taken; nothing takes it whole", "", nil)
	}
	if err != nil {
		return err
	}
	return q.binding(f)
}

// binding asks where a secret may go, and how.
func (q asker) binding(f *addFlags) error {
	known, _ := config.ServiceOf(f.variable)
	about := "the hosts that it may go to, with commas between them, as in " + config.SuggestedHost(f.variable)
	if len(known.Hosts) > 0 {
		about = "the hosts that it may go to; nothing leaves them to what kz knows of " + known.Name + ", " + strings.Join(known.Hosts, ", ")
	}
	hosts, err := q.ask(about, "", each(func(s string) error { _, err := policy.ParseHostPattern(s); return err }))
	if err != nil {
		return err
	}
	f.hosts = partsOf(hosts)
	places := "header, basic, body"
	if len(known.Places) > 0 {
		places = strings.Join(known.Places, ", ")
	}
	swap, err := q.ask("the places of a request where it is put", places, each(func(s string) error { _, err := policy.ParsePlace(s); return err }))
	if err != nil {
		return err
	}
	if swap != places {
		f.swap = partsOf(swap)
	}
	about = "the shape of its mask, where a program checks how its key begins, as in sk_live_{mask}"
	mask, err := q.ask(about, known.Mask, func(s string) error {
		if s != "" && strings.Count(s, "{mask}") != 1 {
			return errors.New("it must hold {mask} once")
		}
		return nil
	})
	if mask != known.Mask {
		f.mask = mask
	}
	return err
}

// partsOf are the parts of an answer that has several; nil when it has none, which is no empty list.
func partsOf(s string) []string {
	return append([]string(nil), strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })...)
}

// each checks every part of an answer. policy's errors quote what they are about, which is not said here: it may be a value.
func each(check func(string) error) func(string) error {
	return func(answer string) error {
		for _, w := range partsOf(answer) {
			if check(w) != nil {
				return fmt.Errorf("%s of %s is not understood", ordinal(slices.Index(partsOf(answer), w)), plural(len(partsOf(answer)), "word"))
			}
		}
		return nil
	}
}

func ordinal(i int) string { return fmt.Sprintf("number %d", i+1) }

func needed(answer string) error {
	if answer == "" {
		return errors.New("the store needs it")
	}
	return nil
}

// asker asks questions on the terminal, with echo: what is asked for is no value.
type asker struct {
	app *app
	ctx context.Context //nolint:containedctx // of one command
}

// maxAsked bounds how often a question is asked again.
const maxAsked = 3

// ask asks until an answer is good. Nothing typed is the preset.
func (q asker) ask(question, preset string, check func(string) error) (string, error) {
	if preset != "" {
		question += " [" + preset + "]"
	}
	var err error
	for range maxAsked {
		var answer string
		if answer, err = q.line(question + ": "); err != nil {
			return "", err
		}
		if answer == "" {
			answer = preset
		}
		if err = noValue("what was typed", answer); err != nil {
			return "", err // not again: a person who pastes a key is to know what happened to it
		}
		if check != nil {
			err = check(answer)
		}
		if err == nil {
			return answer, nil
		}
		q.app.ui.Error(err)
	}
	return "", withHint(errors.New("nothing was added"), "kz add takes flags, too: `kz add --help`")
}

// line reads one line. An interruption ends the wait and is the error.
func (q asker) line(question string) (string, error) {
	discardTyped(q.app.stdin) // what was there before the question is no answer to it
	q.app.ui.ask(question)
	type input struct {
		text string
		err  error
	}
	done := make(chan input, 1)
	go func() { // left behind when interrupted: the process ends then
		text, err := bufio.NewReader(q.app.stdin).ReadString('\n')
		done <- input{text, err}
	}()
	select {
	case in := <-done:
		if in.err != nil {
			q.app.ui.answered()
			return "", withHint(errors.New("nothing was typed"), "kz add takes flags, too: `kz add --help`")
		}
		return strings.TrimSpace(in.text), nil
	case <-q.ctx.Done():
		q.app.ui.answered()
		return "", context.Cause(q.ctx)
	}
}
