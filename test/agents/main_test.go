package agents_test

import (
	"testing"

	"kz/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m, map[string]func([]string) int{"@mcp": serveMCP}) }
