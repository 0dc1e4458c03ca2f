package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
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

// startup measures the wall time that kz run --blind adds to true, with one secret in a dotenv file, beside what a bare Go
// program that starts true adds. The three take turns; medians are compared. It fails when kz adds more than startupLimit.
func startup() error {
	dir, err := os.MkdirTemp("", "kz-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := map[string]string{
		"bare.go":     bareSource,
		"secrets.env": "KEY=a-value-that-is-long-enough\n",
		"kz.toml":     "[backends.local]\ntype = \"env_file\"\npath = \"secrets.env\"\n\n[secrets.KEY]\nhosts = [\"api.example.com\"]\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	kz, bare := filepath.Join(dir, "kz"), filepath.Join(dir, "bare")
	for out, source := range map[string]string{kz: "./cmd/kz", bare: filepath.Join(dir, "bare.go")} {
		if b, err := exec.Command("go", "build", "-o", out, source).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", source, err, b)
		}
	}
	commands := [][]string{
		{"true"},
		{bare},
		{kz, "run", "--blind", "--quiet", "--config", filepath.Join(dir, "kz.toml"), "--", "true"},
	}
	times := make([][]time.Duration, len(commands))
	for round := range startupRounds + 5 {
		for i, argv := range commands {
			c := exec.Command(argv[0], argv[1:]...)
			c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
			began := time.Now()
			if out, err := c.CombinedOutput(); err != nil {
				return fmt.Errorf("running %v: %w\n%s", argv, err, out)
			}
			if round >= 5 { // the first ones fill caches
				times[i] = append(times[i], time.Since(began))
			}
		}
	}
	var medians []time.Duration
	for _, t := range times {
		slices.Sort(t)
		medians = append(medians, t[len(t)/2])
	}
	addedBare, addedKz := medians[1]-medians[0], medians[2]-medians[0]
	fmt.Printf("wall time, medians of %d interleaved runs\n", startupRounds)
	fmt.Printf("  true                             %8.2f ms\n", ms(medians[0]))
	fmt.Printf("  a bare Go program that runs it   %8.2f ms   adds %6.2f ms\n", ms(medians[1]), ms(addedBare))
	fmt.Printf("  kz run --blind -- true           %8.2f ms   adds %6.2f ms   %.1f times the bare program's\n", ms(medians[2]), ms(addedKz), float64(addedKz)/float64(addedBare))
	if addedKz > startupLimit {
		return fmt.Errorf("kz adds more than %s", startupLimit)
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
