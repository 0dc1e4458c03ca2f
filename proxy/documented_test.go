package proxy

import (
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kz/proxy/policy"
)

func TestTheTopicErrorsHasEveryCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../cmd/kz/cli/topics/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[policy.Code]int{}
	entry := regexp.MustCompile(`(?m)^  ([a-z_]+)  (\d{3})\n((?:      \S.*\n)+)`)
	for _, m := range entry.FindAllStringSubmatch(string(text), -1) {
		documented[policy.Code(m[1])], _ = strconv.Atoi(m[2])
		if len(strings.Fields(m[3])) < 8 {
			t.Errorf("%s: what happened and what to do is %q", m[1], m[3])
		}
	}
	if !maps.Equal(documented, statusOf) {
		t.Errorf("documented:   %v\nof the proxy: %v", documented, statusOf)
	}
}
