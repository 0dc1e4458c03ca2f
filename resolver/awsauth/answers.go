package awsauth

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kz/resolver"
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

// completeAnswer refuses an answer of STS without credentials. The SDK's own
// providers take what is missing as empty, or say nothing of why there is none.
func completeAnswer(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("CompleteAnswer",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if err != nil {
				return out, metadata, err
			}
			var c *types.Credentials
			switch result := out.Result.(type) {
			case *sts.AssumeRoleOutput:
				c = result.Credentials
			case *sts.AssumeRoleWithWebIdentityOutput:
				c = result.Credentials
			default:
				return out, metadata, nil
			}
			if c == nil || c.AccessKeyId == nil || c.SecretAccessKey == nil || c.SessionToken == nil || c.Expiration == nil {
				err = &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not one of STS",
					Advice: "try again; check the endpoint and any proxy in between"}
			}
			return out, metadata, err
		}), middleware.Before)
}

// Lasting is an error for temporary credentials that have ended when they come.
func Lasting(now, expires time.Time) error {
	if now.Before(expires) {
		return nil
	}
	e := &resolver.Error{Kind: resolver.Unavailable}
	clock(e)
	e.Message = "STS gave credentials that have ended already: " + e.Message
	return e
}
