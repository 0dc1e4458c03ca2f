// Package masking knows what a mask is, finds masks and secret values in
// bytes and streams, and puts one in the place of the other.
//
// Two directions share one engine. Outbound, a [Table] finds the masks of a
// session and its caller decides what to put in their place. Inbound, a
// [Scrubber] finds the values of the session, as they are and in the encodings
// that servers commonly echo them in, and puts their masks back.
//
//	key := masking.NewKey()
//	table, err := masking.NewTable(key, []masking.Entry{{Name: "OPENAI_API_KEY"}})
//	body := table.Reader(request.Body, func(name string) ([]byte, bool) { … })
//	scrubber, err := masking.NewScrubber([]masking.Value{{
//		Name: "OPENAI_API_KEY", Mask: table.Token("OPENAI_API_KEY"), Bytes: value,
//	}})
//	answer := scrubber.Reader(response.Body, masking.Restore, nil)
//
// Replacement is one pass: of several matches the leftmost is taken, of those
// the longest, and what was put in is never looked at again. A stream gives the
// same bytes however it is cut into reads, and holds back only what may still
// turn out to be the beginning of a match.
//
// Limits: other encodings than those in the documentation of [Scrubber], other
// encodings of encodings, and wrapped base64 are not found. Where two values
// overlap in the input, the rest of the second one stays.
//
// Nothing here prints a secret: every type that holds one formats, logs and
// marshals as a placeholder, and errors carry names only. fmt does not call the
// methods of what it finds in unexported fields, so keep a [Key] or a [Value]
// behind a pointer there.
package masking
