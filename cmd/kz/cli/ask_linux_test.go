package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// askerProgram asks a question when it is told to, and gives up soon.
func askerProgram() {
	now := make(chan os.Signal, 1)
	signal.Notify(now, syscall.SIGUSR1)
	fmt.Println("up")
	<-now
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	yes, err := newApp().confirm(ctx, "Sure?")
	fmt.Printf("\nyes=%v answered=%v\n", yes, err == nil)
}

func TestWhatWasTypedBeforeAQuestionIsNoAnswer(t *testing.T) {
	t.Parallel()
	term, cmd := onTerminal(t, "kz-asker")
	term.expect(t, "up")
	term.press(t, "y\r")
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if line := term.expect(t, "yes="); line != "yes=false answered=false" {
		t.Errorf("it is taken for one: %s", line)
	}
}
