package cli

import (
	"encoding/binary"
	"testing"
)

func TestConnectionsAreReadAsTheKernelWritesThem(t *testing.T) {
	t.Parallel()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the lines are of a little-endian machine")
	}
	const rest = " 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 20 4 30 10 -1"
	for line, want := range map[string]string{
		"  0: 0100007F:A1B2 070200C0:20FB 01" + rest:                                                 "192.0.2.7:8443",
		"  1: 0100007F:A1B2 070200C0:01BB 02" + rest:                                                 "192.0.2.7:443",
		"  2: 0100007F:A1B2 00000000:0000 0A" + rest:                                                 "", // listens
		"  3: 0100007F:A1B2 070200C0:01BB 06" + rest:                                                 "", // has ended
		"  4: 00000000000000000000000001000000:A1B2 B80D0120000000000000000001000000:01BB 01" + rest: "[2001:db8::1]:443",
		"  5: 0000000000000000FFFF00000100007F:A1B2 0000000000000000FFFF0000070200C0:01BB 01" + rest: "192.0.2.7:443",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout": "",
		"": "",
	} {
		inode, remote, ok := parseConnection(line)
		if got := remote.String(); ok != (want != "") || ok && (got != want || inode != 4711) {
			t.Errorf("%q: %d %s %v, want %s", line, inode, got, ok, want)
		}
	}
}
