//go:build !linux

package canary

import "errors"

// Process is only there on Linux.
func (c *Canary) Process(int) ([]Hit, error) { return nil, errors.ErrUnsupported }
