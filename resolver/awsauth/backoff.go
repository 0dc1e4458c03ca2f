package awsauth

import (
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// maxAttempts of one call. With backoff, the waiting between them is under two
// seconds: well within resolver.DefaultTimeout, and what someone who starts an
// agent will bear.
const maxAttempts = 3

// The first wait of a call, when it failed and when the service had too much to
// do. It doubles with each attempt.
const (
	failedWait    = 100 * time.Millisecond
	throttledWait = 500 * time.Millisecond
)

// backoff is how long is waited after an attempt, the first of which is 1. Half
// of it is random, so that those who were refused together do not come back together.
func backoff(attempt int, err error) (time.Duration, error) {
	wait := failedWait
	if retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary {
		wait = throttledWait
	}
	wait <<= max(attempt, 1) - 1
	return wait/2 + rand.N(wait/2), nil
}
