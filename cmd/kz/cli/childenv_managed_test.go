package cli

import (
	"slices"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

// TestABlindChildGetsNoValueOfASecretThatIsNotItsOwn: a shell may have real values of secrets that this run does not resolve,
// so that nothing tells them by what they are.
func TestABlindChildGetsNoValueOfASecretThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	const real = "a value of another secret"
	t.Run("that the hook has set for another directory", func(t *testing.T) {
		t.Parallel()
		for _, keep := range [][]string{nil, {"LICENCE"}} {
			env, _ := blindChild(t, func(s *envSpec) { s.Keep = keep }, "KZ_HOOK=00112233:SOME,LICENCE", "LICENCE="+real, "SOME="+real, "EDITOR=vi")
			if slices.Contains(valuesOf(env), real) || env["EDITOR"] != "vi" {
				t.Errorf("with --keep-env %v it has %v", keep, env)
			}
			if _, ok := env["KZ_HOOK"]; ok {
				t.Error("it has the hook's state")
			}
		}
	})
	t.Run("that kz run or kz export has given the shell it is started from", func(t *testing.T) {
		t.Parallel()
		plain, _, err := childEnv(envSpec{Parent: []string{"KZ_VALUES=SOME", "SOME=" + real, "EDITOR=vi"}, Secrets: []envSecret{{Name: "LICENCE", Reveal: func() string { return real }}}})
		if err != nil || !slices.Contains(plain, "KZ_VALUES=SOME,LICENCE") || slices.Contains(plain, "KZ_VALUES=SOME") {
			t.Fatalf("%v: a plain child has %q", err, plain)
		}
		for _, keep := range [][]string{nil, {"LICENCE"}} {
			env, _ := blindChild(t, func(s *envSpec) { s.Keep = keep }, plain...)
			if _, ok := env["KZ_VALUES"]; ok || slices.Contains(valuesOf(env), real) || env["EDITOR"] != "vi" {
				t.Errorf("with --keep-env %v it has %v", keep, env)
			}
		}
	})
	t.Run("that --only leaves out", func(t *testing.T) {
		t.Parallel()
		env, _ := blindChild(t, func(s *envSpec) { s.Managed = []string{"LICENCE"} }, "LICENCE="+real)
		if slices.Contains(valuesOf(env), real) {
			t.Errorf("it has %v", env)
		}
	})
	t.Run("that the doctor cannot use", func(t *testing.T) {
		t.Parallel()
		a, _, _ := testApp("HOME="+t.TempDir(), "LICENCE="+real, "EDITOR=vi")
		s, err := a.newDoctorSession(background(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.end()
		s.here = &config.Config{Secrets: []config.Secret{{Name: "LICENCE"}}}
		env, err := s.environ(background(), a)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(env, "\n"); strings.Contains(all, real) || !strings.Contains(all, "EDITOR=vi") {
			t.Errorf("it has %q", env)
		}
	})
}

func valuesOf(env map[string]string) (all []string) {
	for _, v := range env {
		all = append(all, v)
	}
	return all
}
