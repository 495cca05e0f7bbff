// `c100k doctor`: can this machine hold the connections?

package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"c100k/internal/certs"
	"c100k/internal/doctor"
	"c100k/internal/settings"
	"c100k/server"
)

func (a *app) doctor() *cobra.Command {
	return a.command(verb{
		path: "doctor", use: "doctor", short: "Reports whether this machine can hold a number of connections, and what to change if not",
		long: "Prints each limit, its value, what is needed, and the command or unit line that raises it.\n" +
			"If one process may not open enough files, it plans with several workers.\n" +
			"With --config FILE it plans for what the file says: max-conns, workers and io. What it would\n" +
			"do without is 100000 connections. Certificates that the flags, the file or the environment\n" +
			"name are looked at, too.\nExit code 1: the connections do not fit, or a certificate cannot be used.",
		examples: []string{
			"c100k doctor",
			"c100k doctor --conns 15000",
			"c100k doctor --conns 100000 --workers 1                # in a single process",
			"c100k doctor --conns 100000 --with-load                # and c100k load beside it",
			"c100k doctor --config /etc/c100k.yaml                 # for its max-conns, workers and certificates",
			"c100k doctor --conns 50000 --json | jq '.holds, .limited_by, .workers'",
		},
		args: arguments(0, 0, "no arguments"),
		run: func(_ context.Context, c call) error {
			o := &c.Options.Doctor
			if o.Workers > doctor.WorkersMax {
				return usage("--workers: %d is refused; allowed are 1 to %d, or auto", o.Workers, doctor.WorkersMax)
			}
			want, err := a.wanted(c)
			if err != nil {
				return err
			}
			report := doctor.Examine(a.host(), want)
			if err := certificates(&c.Options.Node, &report, time.Now()); err != nil {
				return misconfigured(c.Explain(err))
			}
			write := func() error { return report.Write(a.stdout) }
			if o.JSON {
				write = func() error { return a.writeJSON(report) }
			}
			if err := write(); err != nil {
				return err
			}
			if !report.Able || !report.CertificatesGood() {
				return &exit{code: exitFailure}
			}
			return nil
		},
	})
}

// wanted is what the flags ask the machine to hold, and where they do not say, the settings of the
// node.
func (a *app) wanted(c call) (doctor.Want, error) {
	o := &c.Options.Doctor
	want := doctor.Want{Conns: int64(o.Conns), Workers: int64(o.Workers), Node: true, Load: o.WithLoad}
	flags := settings.Flags{}
	if file := c.Options.ConfigFile; file != "" {
		flags["config"] = []string{file}
	}
	node, err := settings.Load(settings.Input{Command: "config check", Flags: flags, Environ: a.environ, ReadFile: os.ReadFile})
	if err := node.All(err, node.Options.Node.Validate); err != nil {
		return want, misconfigured(err)
	}
	n := &node.Options.Node
	if !c.Given("conns") && n.MaxConns > 0 {
		want.Conns = int64(n.MaxConns)
	}
	if !c.Given("workers") && node.Given("workers") {
		want.Workers = int64(max(n.Workers, 0)) // auto is 0 here
	}
	want.Plain = n.IO == server.IOSyscall
	return want, nil
}

// certificates adds those of a configuration to the report. The error is a *server.FieldError.
func certificates(c *server.Config, report *doctor.Report, now time.Time) error {
	if err := c.Validate(); err != nil {
		return err
	}
	var all []doctor.Certificate
	for _, p := range c.CertificateFiles() {
		_, cert, err := p.Read(now)
		if err != nil {
			all = append(all, doctor.Certificate{Name: p.Cert, Err: err})
			continue
		}
		leaf := cert.Leaf
		all = append(all, doctor.Certificate{Name: certs.NameOf(leaf), End: leaf.NotAfter, Soon: certs.Soon(leaf.NotAfter.Sub(leaf.NotBefore))})
	}
	report.AddCertificates(all, now)
	return nil
}
