// Manifests holds a file of cmd/kz/deploy against what its own tool says is right: `manifests compose FILE`, `manifests
// kubernetes FILE`, `manifests dockerfile FILE`. It is a module of its own, so that kz needs none of
// those tools.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	checks := map[string]func(path string) error{"compose": compose, "kubernetes": kubernetes, "dockerfile": dockerfile}
	if len(os.Args) != 3 || checks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: manifests compose|kubernetes|dockerfile FILE")
		os.Exit(2)
	}
	if err := checks[os.Args[1]](os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// compose loads a project as `docker compose config` does.
func compose(path string) error {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithConsistency(true))
	if err != nil {
		return err
	}
	_, err = options.LoadProject(context.Background())
	return err
}

// kubernetes refuses fields that a pod does not have.
func kubernetes(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(text, &corev1.Pod{})
}

// dockerfile reads each instruction as a build does, with its warnings.
func dockerfile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	read, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return err
	}
	for _, w := range read.Warnings {
		err = errors.Join(err, errors.New(w.Short))
	}
	_, _, parsing := instructions.Parse(read.AST, nil)
	return errors.Join(err, parsing)
}
