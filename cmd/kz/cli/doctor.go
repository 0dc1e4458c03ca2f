package cli

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"
)

const doctorLong = `Look at what a blind program would meet on this machine, and say what to mend:

- one secret of the doctor's own goes from a store through the proxy to an API
  on this machine, and comes back as a mask;
- each runtime and tool on PATH (curl, git, Python, Node, Java, …) does the same
  with the environment of kz run --blind: does it obey the proxy, does it trust
  the CA?
- the configuration here: is it approved, has each secret hosts, can it be had
  from its store, can its value be used, does each host answer?
- what a program that runs as you could read without kz: files of AWS and
  others, a Vault token, the SSH agent, Docker;
- what you have set that leads round the proxy, the clock, kz's directories.

With a command, that is run as kz run --blind would, with the configuration here
or, where that cannot be used, with the secret of the doctor's own. Then it says
where that went, past the proxy too (Linux), and which of its clients did not
trust the CA. Its exit code is told, not passed on.

What is found is told by weight, each with what mends it. The exit code is 1
when there is an error among it, else 0. No value is shown.`

const doctorExample = `  kz doctor
  kz doctor --json
  kz doctor -- node agent.js`

type doctorFlags struct {
	Config, Env string
	JSON        bool
}

func newDoctorCmd(a *app) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:                   "doctor [flags] [-- COMMAND [ARGUMENT...]]",
		Short:                 "Find what is wrong here, and what mends it",
		Long:                  doctorLong,
		Example:               doctorExample,
		DisableFlagsInUseLine: true,
		RunE: a.outsideOnly(func(c *cobra.Command, argv []string) error {
			return a.doctor(c.Context(), f, argv)
		}),
	}
	c.Flags().SetInterspersed(false) // the program's own flags are not ours
	configFlags(c, &f.Config, &f.Env)
	c.Flags().BoolVar(&f.JSON, "json", false, "print the findings as JSON; what the command prints goes to standard error")
	return c
}

// doctor looks at everything side by side, then runs the command. It fails only when it cannot look.
func (a *app) doctor(ctx context.Context, f doctorFlags, argv []string) error {
	d := &diagnosis{Form: 1, KZ: version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Runtimes: []runtimeReport{}, redact: func(s string) string { return s }}
	if err := a.process.markSession(); err != nil { // whatever it starts is inside one
		return err
	}
	setup := a.examineConfiguration(f, doctorRecord(argv))
	defer setup.close()
	d.find(setup.findings...)
	d.redact = setup.redact

	var probed, resolved atomic.Int32
	stop := a.watchLine(statusPatience, func() string { return examining(int(probed.Load()), int(resolved.Load()), setup) })
	var all sync.WaitGroup
	all.Go(func() { d.find(a.examineStores(ctx, setup)...); resolved.Add(1) })
	all.Go(func() { d.find(a.examineClocks(ctx, setup)...) })
	all.Go(func() { d.find(a.examineHosts(ctx, setup)...) })
	all.Go(func() { d.find(a.examineMachine(setup.cfg)...) })
	all.Go(func() { d.find(a.examineEnvironment(setup.cfg)...) })
	all.Go(func() { d.find(a.examineExposure(setup.cfg)...) })
	all.Go(func() { a.examineRuntimes(ctx, d, setup, &probed) })
	all.Wait()
	stop()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if len(argv) > 0 {
		if err := a.examineCommand(ctx, d, setup, argv, f.JSON); err != nil {
			return err
		}
	}
	d.sort()
	var err error
	if f.JSON {
		err = printJSON(a.stdout, d)
	} else {
		err = d.print(a.stdout, a.doctorColour())
	}
	if err == nil && !d.OK {
		return exitStatus(exitUnhealthy)
	}
	return err
}

// doctorColour: the report is on standard output.
func (a *app) doctorColour() bool { return colourful(a.getenv, a.isTerminal(a.stdout)) }

// examining is what there is to wait for.
func examining(probed, resolved int, setup *setup) string {
	line := "examining: " + plural(probed, "runtime") + " tried"
	if resolved == 0 && setup.session != nil {
		line += ", stores asked"
	}
	return line + " …"
}
