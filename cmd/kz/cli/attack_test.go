package cli

import "testing"

func TestAVariableWhoseNameHoldsAValueIsRemoved(t *testing.T) {
	t.Parallel()
	env, report := blindChild(t, func(s *envSpec) { s.Keep = []string{canary, "X_" + canary} }, canary+"=x", "X_"+canary+"=", "GREETING=hello")
	for name := range env {
		if _, held := holdsCanary(name); held {
			t.Error("the child has a variable with a value in its name")
		}
	}
	if len(report.Held) != 2 || env["GREETING"] != "hello" {
		t.Errorf("removed %d variables", len(report.Held))
	}
}
