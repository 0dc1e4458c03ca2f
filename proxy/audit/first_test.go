package audit

import (
	"strings"
	"testing"
)

func TestAChangedFirstLineIsCalledThat(t *testing.T) {
	t.Parallel()
	var c chain
	line := strings.TrimSuffix(string(c.seal([]byte(`{"status":502`))), "\n")
	var read chain
	if err := read.check([]byte(line)); err != nil {
		t.Fatal(err)
	}
	read = chain{}
	if err := read.check([]byte(strings.Replace(line, "502", "200", 1))); err == nil || !strings.Contains(err.Error(), "it was changed") {
		t.Errorf("%v", err)
	}
}
