package proxy

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"

	"kz/masking"
)

// binaryHeader is the end of the name of gRPC's metadata that is bytes, in base64 with or without padding, several with
// commas between (gRPC over HTTP/2, "Custom-Metadata").
const binaryHeader = "-Bin"

// binary scrubs such metadata and leaves it base64 of as many bytes: grpc-status-details-bin is a message, which counts.
func (s *scrubbers) binary(v string, on func(string)) string {
	if _, found := s.Find([]byte(v)); !found {
		return v
	}
	pieces := strings.Split(v, ",")
	for i, piece := range pieces {
		encoding := base64.StdEncoding
		if piece = strings.TrimSpace(piece); len(piece)%4 != 0 {
			encoding = base64.RawStdEncoding
		}
		b, err := encoding.DecodeString(piece)
		if err != nil {
			continue
		}
		if b, err = io.ReadAll(s.Reader(bytes.NewReader(b), masking.Fill, on)); err == nil {
			pieces[i] = encoding.EncodeToString(b)
		}
	}
	return strings.Join(pieces, ",")
}

// measured reports whether a body is a message that counts its bytes: the one of a unary call of Connect, or what is
// served as such (RFC draft-ietf-dispatch-mime-protobuf).
func measured(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, _, _ := strings.Cut(contentType[0], ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/proto", "application/protobuf", "application/x-protobuf":
		return true
	}
	return false
}
