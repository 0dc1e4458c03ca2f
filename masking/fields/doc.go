// Package fields edits chosen values inside request bodies while they stream:
// members of JSON documents, fields of forms and parts of multipart forms. It
// is where a proxy puts a secret in the place of its mask.
//
//	sel, err := fields.NewSelector(fields.Selection{Credential: true, Pointers: []string{"/auth/key"}})
//	r, err := fields.NewReader(body, fields.Options{
//		Format:   fields.JSON,
//		Selector: sel,
//		Marked:   func(v []byte) bool { return holdsMask(v) },
//		Edit:     func(f fields.Field, v []byte) ([]byte, bool, error) { return swap(f, v) },
//	})
//
// The body is copied byte for byte; only a selected value that Edit replaces
// comes out changed, encoded for its place. The result does not depend on how
// the input is cut into reads. Bytes go out as soon as it is decided that they
// stay: only a selected value is held, and of that at most [MaxMember] bytes.
//
// # Malformed input
//
// Input that is not what its format says is never an error. From the first
// byte at which it is malformed, or could be read in two ways, the rest passes
// as it is and nothing in it is edited. What has already been edited stays so.
// An error of the underlying reader is returned as it is, after everything
// that was read before it.
//
// # Ambiguity
//
// Where a selected place occurs twice and one of the occurrences holds a mask,
// the receiver may read the other one. Reading then ends with an
// [AmbiguousError], also when the first occurrence has been given out already;
// the caller has to abort the request. Places are told apart by the exact
// decoded name: api_key and apiKey are two. Of the spellings of credential names
// in one object or form the first 64 are followed; others are not selected.
//
// # JSON
//
// Only strings are offered, decoded; a lone surrogate escape is decoded to its
// three-byte generalised UTF-8 form and encoded as the escape again. Keys are
// compared decoded. White space between documents and documents that follow
// each other (NDJSON) are read: in each, the top-level object is treated alike,
// and repetitions are counted within one document. A byte order mark, UTF-16,
// comments, and nesting deeper than 65536 levels count as malformed; bytes that
// are not UTF-8 inside a string do not. A key that is an ancestor of a selected
// pointer counts as an occurrence of it: two members "a" make /a/b ambiguous.
//
// # Forms
//
// Fields are split at '&' only. A field whose name or value has an invalid
// percent escape is not offered, nor is one without '=', nor one whose value
// has a ';', where some receivers begin another field. From a field _charset_
// on, also in multipart forms, nothing is offered: it chooses how the others
// are read. Behind a value with a mask it is an [AmbiguousError].
//
// # Multipart forms
//
// A part is offered when its header consists of one Content-Disposition of
// exactly the form form-data; name="x" and, if it likes, a Content-Type that is
// not multipart or message and of no charset but UTF-8, ASCII and Latin-1, and a Content-Transfer-Encoding of 7bit, 8bit or
// binary. Any other header (a Content-Length, say, which an edit would make
// wrong), any other parameter (a file name), a folded line, or a name with a
// backslash or a percent sign, which senders and receivers read in different
// ways, leaves that part as it is. It still counts as an occurrence of each name
// that it has, with the backslashes and without.
//
// The body counts as malformed from where the boundary stands anywhere but on a
// delimiter line, after a CRLF that ends a line of the content and before one of
// its own, and where a header has a bare CR or LF or more than 64 KiB. A part
// that no delimiter ends is not edited.
package fields
