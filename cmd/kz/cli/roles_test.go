package cli

import (
	"context"
	"fmt"
	"os"
)

// testPrograms are the processes of the tests, by the name they are run under.
// Those of one system add themselves to platformPrograms.
var testPrograms = merge(platformPrograms, map[string]func(){
	"kz-child": childProgram,
	"kz-guard": guardProgram,
	"kz-long":  longProgram,
})

func merge(maps ...map[string]func()) map[string]func() {
	all := make(map[string]func())
	for _, m := range maps {
		for name, f := range m {
			all[name] = f
		}
	}
	return all
}

// childProgram is kz as far as starting and supervising goes: kz-child PROGRAM ARG…
// KZ_TEST_SEALED closes inherited descriptors, KZ_TEST_SESSION marks a session.
func childProgram() {
	a := newApp()
	p, err := harden()
	if err == nil && a.getenv("KZ_TEST_SESSION") != "" {
		err = p.markSession()
	}
	code := 0
	if err == nil {
		ctx, stop := interruptible(context.Background())
		defer stop()
		code, err = runChild(ctx, childSpec{
			Argv:      os.Args[1:],
			Env:       a.environ,
			Stdin:     os.Stdin,
			Stdout:    os.Stdout,
			Stderr:    os.Stderr,
			CoreLimit: p.coreLimit,
			Sealed:    a.getenv("KZ_TEST_SEALED") != "",
		})
	}
	if err != nil {
		a.ui.Error(err)
		os.Exit(exitCode(err))
	}
	os.Exit(code)
}

// longProgram is a command that takes long, and has something to clean up.
func longProgram() {
	ctx, stop := interruptible(context.Background())
	defer stop()
	fmt.Println("up")
	<-ctx.Done()
	fmt.Println("cleaned up")
	err := context.Cause(ctx)
	newApp().ui.Error(err)
	if os.Getenv("KZ_TEST_STUCK") != "" {
		fmt.Println("stuck")
		select {}
	}
	os.Exit(exitCode(err))
}

// guardProgram asks whether it runs inside a session.
func guardProgram() {
	if err := newApp().outsideSession("kz put"); err != nil {
		fmt.Println("refused")
		os.Exit(exitCode(err))
	}
	fmt.Println("allowed")
}
