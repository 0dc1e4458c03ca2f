package awsauth

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestAPanicWhileLoggingInIsAnErrorWithoutItsText(t *testing.T) {
	t.Parallel()
	r := &renewing{now: time.Now, timeout: time.Minute, fetch: func(context.Context) (aws.Credentials, error) { panic(resolvertest.Canary) }}
	for range 2 { // and the next one does not wait for ever
		_, err := r.Retrieve(t.Context())
		if resolver.KindOf(err) != resolver.Unavailable || !strings.Contains(err.Error(), "has broken off") {
			t.Errorf("%v", err)
		}
		resolvertest.NoLeak(t, err, resolvertest.Canary)
	}
}
