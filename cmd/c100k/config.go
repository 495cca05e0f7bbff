// `c100k config`: checks, shows and writes the configuration of a node.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"c100k/internal/auth"
	"c100k/internal/settings"
	"c100k/server"
)

func (a *app) config() *cobra.Command {
	return a.group(&cobra.Command{
		Use: "config", Short: "Checks, shows or writes the configuration of a node",
		Example: "c100k config init c100k.yaml\nc100k config check c100k.yaml\nc100k config show --config c100k.yaml",
	}, a.configCheck(), a.configShow(), a.configInit())
}

func (a *app) configCheck() *cobra.Command {
	return a.command(verb{
		path: "config check", use: "check [FILE]", short: "Validates the configuration: file, environment and flags together, and the files that they name",
		long: "It prints all that is wrong, in the order of the lines.\nExit code 0: serve would accept it; 78: it would not; 2: only flags are wrong.\nFILE is the same as --config FILE.",
		examples: []string{
			"c100k config check c100k.yaml",
			"C100K_MAX_MESSAGE=1MiB c100k config check c100k.yaml",
		},
		node: true,
		args: arguments(0, 1, "at most one FILE"),
		file: func(flags settings.Flags, args []string) {
			if len(args) == 1 {
				flags["config"] = args
			}
		},
		run: func(_ context.Context, c call) error {
			if err := allProblems(c.Loaded, nil); err != nil {
				return misconfigured(err)
			}
			for _, pattern := range c.Options.Node.PublicTopics {
				if advice := auth.OldStar(pattern); advice != "" {
					fmt.Fprintf(a.stdout, "note: public-topics: %s: %s\n", pattern, advice)
				}
			}
			what := "configuration"
			if c.Options.ConfigFile != "" {
				what = c.Options.ConfigFile
			}
			_, err := fmt.Fprintf(a.stdout, "%s: ok\n", what)
			return err
		},
	})
}

// allProblems is all that is wrong with the settings of a node: what was found when they were
// loaded, what the node would refuse, and the files that they name.
func allProblems(loaded *settings.Loaded, loading error) error {
	node := &loaded.Options.Node
	return loaded.All(loading, node.Validate, func() error { return readFiles(node) })
}

// validate asks the node whether it would take the settings.
func validate(loaded *settings.Loaded) error {
	if err := loaded.Explain(loaded.Options.Node.Validate()); err != nil {
		return misconfigured(err)
	}
	return nil
}

// readFiles reads the files that the configuration names, as a start would, but for those whose
// settings are wrong themselves.
func readFiles(c *server.Config) error {
	var wrong []error
	if err := c.Validate(); err != nil {
		wrong = settings.Parts(err)
	}
	sound := func(fields ...string) bool {
		return !slices.ContainsFunc(wrong, func(err error) bool {
			var field *server.FieldError
			return errors.As(err, &field) && slices.ContainsFunc(fields, func(begin string) bool { return strings.HasPrefix(field.Field, begin) })
		})
	}
	_, err := c.ReadAPIKey()
	if sound("TLS", "AdminTLS", "ACME", "Dev", "HTTPRedirect") {
		err = errors.Join(err, c.CheckTLS())
	}
	if sound("Token", "RequireToken") {
		err = errors.Join(err, c.CheckKeys())
	}
	if sound("Static", "Cluster", "BusCreds", "StateDir", "HistoryDir") {
		err = errors.Join(err, c.CheckPaths())
	}
	return err
}

func (a *app) configShow() *cobra.Command {
	return a.command(verb{
		path: "config show", use: "show", short: "Prints the effective configuration of a node, and where each value came from",
		long: "The output is a valid configuration file; secrets are left out.",
		examples: []string{
			"c100k config show --config c100k.yaml",
			"C100K_RATE=20/s c100k config show --dev",
		},
		node: true,
		args: arguments(0, 0, "no arguments"),
		run: func(_ context.Context, c call) error {
			if err := c.WriteEffective(a.stdout); err != nil {
				return err
			}
			return validate(c.Loaded)
		},
	})
}

func (a *app) configInit() *cobra.Command {
	return a.command(verb{
		path: "config init", use: "init [FILE]", short: "Writes a configuration file with every setting in it, explained and commented out",
		long: "Without FILE it goes to standard output.",
		examples: []string{
			"c100k config init c100k.yaml",
			"c100k config init | less",
		},
		args: arguments(0, 1, "at most one FILE"),
		run: func(_ context.Context, c call) error {
			text := bytes.Buffer{}
			if err := settings.WriteFile(&text); err != nil {
				return err
			}
			if len(c.args) == 0 {
				_, err := a.stdout.Write(text.Bytes())
				return err
			}
			return createFile(c.args[0], text.Bytes(), c.Options.Init.Force)
		},
	})
}

// createFile writes a new file, or with force over an old one.
func createFile(path string, content []byte, force bool) error {
	how := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if force {
		how = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	// 0600: somebody will write the API key into it.
	file, err := os.OpenFile(path, how, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already; --force writes over it", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return nil
}
