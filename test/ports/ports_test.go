package ports_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"kz/test/ports"
)

func TestNowhereIsHeld(t *testing.T) {
	t.Parallel()
	address := ports.Nowhere(t)
	if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v %v", conn, err)
	}
	if l, err := net.Listen("tcp", address); err == nil {
		_ = l.Close()
		t.Error("another may listen there")
	}
}
