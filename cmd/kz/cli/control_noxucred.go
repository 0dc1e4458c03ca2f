//go:build unix && !linux && !darwin && !freebsd

package cli

import "errors"

func peerUser(int) (int, error) { return -1, errors.ErrUnsupported }
