package proxy

import (
	"io"

	"kz/masking"
)

// renewed scrubs a body for as long as it lasts: what comes after a new value has been learned is searched for that one
// too. It implements io.WriterTo and is for one goroutine.
type renewed struct {
	io.Reader
	io.WriterTo
}

func (p *Proxy) scrubbing(src io.Reader, mode masking.Mode, hold masking.Holding, on func(name string)) *renewed {
	r := masking.Follow(src, mode, hold, func() *masking.Scrubber { return p.scrubbers().Scrubber }, on)
	return &renewed{r, r.(io.WriterTo)}
}
