package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answers types an answer to each question, once it is there.
func (s *screen) answers(t *testing.T, dialogue ...[2]string) {
	t.Helper()
	for _, d := range dialogue {
		s.await(t, d[0], func() bool { return strings.HasSuffix(s.shows(), d[0]) })
		s.types(t, d[1]+"\n")
	}
}

func TestAddAsksStepByStep(t *testing.T) {
	t.Parallel()
	w := newInitWorld(t, nil)
	s := onScreen(t, w.dir, w.env, "add")
	s.answers(t, [][2]string{
		{"kz: the variable that the program reads, as in OPENAI_API_KEY: ", "my-key"},
		{"may be in the shell's history\r\nkz: the variable that the program reads, as in OPENAI_API_KEY: ", "STRIPE_API_KEY"},
		{"kz: where it is kept; as in local, keychain, aws_ssm [local]: ", "nowhere"},
		{"env_file, env\r\nkz: where it is kept; as in local, keychain, aws_ssm [local]: ", "aws_ssm"},
		{"kz: what it is called there: ", ""},
		{"kz: error: the store needs it\r\nkz: what it is called there: ", "/prod/stripe"},
		{"kz: the field of a JSON value that is taken; nothing takes it whole: ", "key"},
		{"what kz knows of Stripe, api.stripe.com, files.stripe.com: ", "api.stripe.com, https://x/y"},
		{"kz: error: number 2 of 2 words is not understood\r\nkz: the hosts that it may go to; nothing leaves them to what kz knows of Stripe, api.stripe.com, files.stripe.com: ", "api.stripe.com, *.stripe.test"},
		{"kz: the places of a request where it is put [header, basic, body]: ", ""},
		{"[sk_{mask}]: ", "rk_live_{mask}"},
	}...)
	if code := s.exit(t); code != 0 || !strings.Contains(s.shows(), "must be approved again: kz trust") {
		t.Errorf("exit code %d: %s", code, s.shows())
	}
	const want = "[backends.ssm]\ntype = \"aws_ssm\"\n\n[secrets.STRIPE_API_KEY]\nbackend = \"ssm\"\nsecret_id = \"/prod/stripe\"\nfield = \"key\"\nmask = \"rk_live_{mask}\"\nhosts = [\"api.stripe.com\", \"*.stripe.test\"]\n"
	if data, err := os.ReadFile(w.file()); err != nil || !strings.HasSuffix(string(data), "\n\n"+want) {
		t.Errorf("it wrote %q, %v", data, err)
	}

	// Once more, and all of it is left to kz.
	s = onScreen(t, w.dir, w.env, "add", "GROQ_API_KEY")
	s.answers(t, [][2]string{
		{"kz: where it is kept; ssm, or the type of a new one [ssm]: ", "local"},
		{"kz: what it is called there [GROQ_API_KEY]: ", ""},
		{"what kz knows of Groq, api.groq.com: ", ""},
		{"[header, basic, body]: ", ""},
		{"as in sk_live_{mask}: ", ""},
	}...)
	if code := s.exit(t); code != 0 {
		t.Errorf("exit code %d: %s", code, s.shows())
	}
	if data, _ := os.ReadFile(w.file()); !strings.HasSuffix(string(data), want+"\n[backends.local]\ntype = \"local\"\n\n[secrets.GROQ_API_KEY]\nbackend = \"local\"\n") {
		t.Errorf("it wrote %q", data)
	}
}

func TestAddEndsAtAPastedKey(t *testing.T) {
	t.Parallel()
	w := newInitWorld(t, nil)
	s := onScreen(t, w.dir, w.env, "add", "ODD_KEY")
	s.answers(t, [2]string{"aws_ssm [local]: ", ""}, [2]string{"kz: what it is called there [ODD_KEY]: ", "sk-ant-" + strings.Repeat("a", 30)})
	if code := s.exit(t); code != exitMisuse || !strings.Contains(s.shows(), "kz: error: what was typed looks like a value, which never stands in the file") {
		t.Errorf("exit code %d: %s", code, s.shows())
	}
	if strings.Count(s.shows(), "sk-ant-") != 1 { // what the terminal showed as it was typed
		t.Error("it is shown again")
	}
	if _, err := os.Stat(filepath.Join(w.dir, ".keyzero.toml")); err == nil {
		t.Error("a file was written")
	}
}
