package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kz/test/bench/stat"
)

const (
	startupRounds = 100
	// startupLimit is the most that a blind run may add to a program's own time.
	startupLimit = 40 * time.Millisecond
)

// bareSource is the least that a Go program which starts another one does.
const bareSource = `package main

import (
	"os"
	"os/exec"
)

func main() {
	c := exec.Command("true")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if c.Run() != nil {
		os.Exit(1)
	}
}
`

const startupConfig = `[backends.local]
type = "env_file"
path = "secrets.env"

[secrets.KEY]
hosts = ["api.example.com"]
`

// startTimes are the median wall times of true, in milliseconds.
type startTimes struct{ alone, bare, blind float64 }

func (s startTimes) addedBare() float64 { return s.bare - s.alone }
func (s startTimes) addedKZ() float64   { return s.blind - s.alone }

// startup measures the wall time that kz run --blind adds to true, with one secret in a dotenv file, beside what a bare Go
// program that starts true adds. It fails when kz adds more than startupLimit.
func startup() error {
	l, err := newLab("")
	defer l.close()
	if err != nil {
		return err
	}
	t, err := l.startTimes(startupRounds)
	if err != nil {
		return err
	}
	fmt.Print(machine())
	fmt.Printf("wall time, medians of %d interleaved runs\n", startupRounds)
	fmt.Printf("  true                             %8.2f ms\n", t.alone)
	fmt.Printf("  a bare Go program that runs it   %8.2f ms   adds %6.2f ms\n", t.bare, t.addedBare())
	fmt.Printf("  kz run --blind -- true           %8.2f ms   adds %6.2f ms   %.1f times the bare program's\n", t.blind, t.addedKZ(), t.addedKZ()/t.addedBare())
	if t.addedKZ() > ms(startupLimit) {
		return fmt.Errorf("kz adds more than %s", startupLimit)
	}
	return nil
}

// startTimes has the three take turns.
func (l *lab) startTimes(rounds int) (t startTimes, err error) {
	dir := l.path("startup")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return t, err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	files := map[string]string{"bare.go": bareSource, "secrets.env": "KEY=a-value-that-is-long-enough\n", "kz.toml": startupConfig}
	for name, content := range files {
		if err := os.WriteFile(in(name), []byte(content), 0o600); err != nil {
			return t, err
		}
	}
	if out, err := exec.Command("go", "build", "-o", in("bare"), in("bare.go")).CombinedOutput(); err != nil {
		return t, fmt.Errorf("building a bare program: %w\n%s", err, out)
	}
	commands := [][]string{{"true"}, {in("bare")}, {l.kz, "run", "--blind", "--quiet", "--config", in("kz.toml"), "--", "true"}}
	times := make([][]float64, len(commands))
	const warm = 5 // the first ones fill caches
	for round := range rounds + warm {
		for i, argv := range commands {
			c := exec.Command(argv[0], argv[1:]...)
			c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
			began := time.Now()
			if out, err := c.CombinedOutput(); err != nil {
				return t, fmt.Errorf("running %v: %w\n%s", argv, err, out)
			}
			if round >= warm {
				times[i] = append(times[i], ms(time.Since(began)))
			}
		}
	}
	return startTimes{stat.Median(times[0]), stat.Median(times[1]), stat.Median(times[2])}, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Units of the start row.
const (
	addedKZ   = "ms added by kz run --blind"
	addedBare = "ms added by a bare Go program"
)

var startRow = row{"start of a program", true, func(c *cell) error {
	runs := startupRounds / c.rounds
	if c.quick {
		runs = 5
	}
	t, err := c.lab.startTimes(max(runs, 5))
	if err != nil {
		return err
	}
	c.say(addedKZ, t.addedKZ())
	c.say(addedBare, t.addedBare())
	return nil
}}
