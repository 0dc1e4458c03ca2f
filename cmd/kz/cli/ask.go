package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// confirm asks a question on the terminal; only y or yes is a yes. The caller has made sure that
// there is a terminal. An interruption ends the wait and is the error.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	discardTyped(a.stdin) // what was there before the question is no answer to it, whoever put it there
	fmt.Fprintf(a.stdout, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // left behind when interrupted: the process ends then
		line, _ := bufio.NewReader(a.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case s := <-answer:
		return s == "y" || s == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(a.stdout)
		return false, context.Cause(ctx)
	}
}
