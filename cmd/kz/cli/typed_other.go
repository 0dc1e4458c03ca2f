//go:build !linux

package cli

import (
	"os"
	"time"
)

// maxTyped is how long a line of a terminal can be (MAX_CANON of the BSDs and macOS); what is longer is cut in silence.
const maxTyped = 1023

func discardTyped(any) {}

func moreTyped(*os.File, time.Duration) bool { return false }
