package awsauth

import (
	"context"
	"errors"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxAnswer bounds what is read of one answer. The longest one that a service
// gives is that of BatchGetSecretValue: 20 values of 64 KiB, each byte of which
// may take six as JSON.
const maxAnswer = 16 << 20

var errTooLong = errors.New("awsauth: the answer is too long")

// boundAnswer puts the limit between the connection and everything that reads.
func boundAnswer(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("BoundAnswer",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && answer.Body != nil {
				answer.Body = &bounded{ReadCloser: answer.Body, left: maxAnswer}
			}
			return out, metadata, err
		}), middleware.After)
}

// bounded fails, and does not just end, where the limit is: what was read would
// else pass for the whole.
type bounded struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
