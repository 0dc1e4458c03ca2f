// Command gcpclient is Google's own client of Secret Manager, over REST, against the fake that the tests of kz stand on: what
// they agree on is the interface, and not what kz takes for it. It is a module of its own, so that kz does not have the client.
//
//	gcpclient http://127.0.0.1:PORT KEYFILE PROJECT
//
// It prints one line for each call: what it was, and its value or the name of its error.
package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/option"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: gcpclient ENDPOINT KEYFILE PROJECT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(endpoint, keyFile, project string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// With a scope it exchanges an assertion for a token, as kz does, and does not sign each call itself.
	c, err := secretmanager.NewRESTClient(ctx, option.WithEndpoint(endpoint), option.WithCredentialsFile(keyFile),
		option.WithScopes("https://www.googleapis.com/auth/cloud-platform"))
	if err != nil {
		return err
	}
	defer c.Close()
	parent := "projects/" + project
	access := func(what, name string) {
		r, err := c.AccessSecretVersion(ctx, &pb.AccessSecretVersionRequest{Name: parent + "/secrets/" + name})
		sum := int64(crc32.Checksum(r.GetPayload().GetData(), crc32.MakeTable(crc32.Castagnoli)))
		if err == nil && r.GetPayload().GetDataCrc32C() != sum {
			err = errors.New("the checksum is wrong")
		}
		say(what, string(r.GetPayload().GetData()), err)
	}
	create := func(what string) {
		_, err := c.CreateSecret(ctx, &pb.CreateSecretRequest{Parent: parent, SecretId: "made",
			Secret: &pb.Secret{Replication: &pb.Replication{Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{}}}}})
		say(what, "ok", err)
	}
	add := func(what, name, value string, wrong int64) {
		sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli))) + wrong
		_, err := c.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{Parent: parent + "/secrets/" + name,
			Payload: &pb.SecretPayload{Data: []byte(value), DataCrc32C: &sum}})
		say(what, "ok", err)
	}
	access("a secret that is not there", "made/versions/latest")
	add("a version of a secret that is not there", "made", "x", 0)
	create("a new secret")
	create("the same secret")
	access("a secret without a version", "made/versions/latest")
	add("a version", "made", "one", 0)
	add("a version with a wrong checksum", "made", "two", 1)
	access("the latest version", "made/versions/latest")
	access("a version by number", "made/versions/1")
	access("a version that is not there", "made/versions/9")
	access("a disabled version", "disabled/versions/latest")
	access("a denied secret", "denied/versions/latest")
	return nil
}

func say(what, value string, err error) {
	if err == nil {
		fmt.Printf("%s: %s\n", what, value)
		return
	}
	var api *apierror.APIError
	if errors.As(err, &api) {
		fmt.Printf("%s: error %d %s\n", what, api.HTTPCode(), api.Reason())
		return
	}
	fmt.Printf("%s: error %v\n", what, err)
}
