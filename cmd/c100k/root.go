// The tree of commands, and the answers to what is in none of them.

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"c100k/internal/settings"
	"c100k/internal/version"
)

func (a *app) root() *cobra.Command {
	root := a.group(&cobra.Command{
		Use:   "c100k",
		Short: "Edge push node: WebSocket, Server-Sent Events and plain HTTP on one port",
		Example: strings.Join([]string{
			"c100k serve --dev                        # a node on loopback, with a demo page",
			"c100k sub news                           # prints what is published to a topic",
			"c100k pub news 'hello, all'              # publishes to it",
			"c100k why u17                            # is this user connected, and how did it end?",
			"c100k doctor --conns 100000              # can this machine hold that many?",
			"c100k load ws://127.0.0.1:8080/echo      # how does a server do under load?",
			"c100k serve --public-topics 'news.>'     # a node for others: only these topics are open",
		}, "\n"),
	}, a.serve(), a.pub(), a.sub(), a.history(), a.emit(), a.why(), a.trace(), a.top(), a.doctor(), a.loadVerb(), a.config(), a.token(), a.version(), a.completion(), a.man())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(badFlag)
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { writeHelp(c.OutOrStdout(), c) })
	root.SetHelpCommand(a.help(root))
	return root
}

// group is a command that only has commands. Its own arguments are not parsed as flags, so that an
// unknown command is told from an unknown flag.
func (a *app) group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.DisableFlagParsing = true
	c.Args = cobra.ArbitraryArgs // or cobra answers for the root, in other words
	c.AddCommand(commands...)
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0, args[0] == "--help", args[0] == "-h":
			writeHelp(a.stdout, c)
			return nil
		case args[0] == "--version" && !c.HasParent():
			_, err := fmt.Fprintln(a.stdout, version.Get())
			return err
		case strings.HasPrefix(args[0], "-"):
			return misplacedFlag(c, args[0])
		}
		return unknownCommand(c, args[0])
	}
	return c
}

func misplacedFlag(c *cobra.Command, flag string) error {
	name, _, _ := strings.Cut(flag, "=")
	for _, sub := range c.Commands() {
		if sub.Flags().Lookup(strings.TrimLeft(name, "-")) != nil {
			return usage("%s is a flag of a command, and comes after it: %s %s %s", name, c.CommandPath(), sub.Name(), name)
		}
	}
	return usage("unknown flag %s; see %s --help", name, c.CommandPath())
}

func unknownCommand(c *cobra.Command, word string) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	if near := settings.Nearest(word, names); near != "" {
		return usage("unknown command %q; did you mean %s %s?", word, c.CommandPath(), near)
	}
	return usage("unknown command %q; see %s --help", word, c.CommandPath())
}

// badFlag words what pflag found wrong with the flags of a command.
func badFlag(c *cobra.Command, err error) error {
	see := "; see " + c.CommandPath() + " --help"
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) && missing.GetFlag() != nil {
		flag := missing.GetFlag()
		return usage("--%s needs a value: --%s %s%s", flag.Name, flag.Name, flag.Value.Type(), see)
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage("%w%s", err, see)
	}
	// "-listen" is understood as -l -i -s …: what was typed are the short names.
	name, dashes := unknown.GetSpecifiedName(), "--"
	if group := unknown.GetSpecifiedShortnames(); group != "" {
		name, dashes = group, "-"
	}
	name, _, _ = strings.Cut(name, "=")
	if near := settings.Nearest("--"+name, append(settings.Flagged(c.Annotations[pathKey]), "--help")); near != "" {
		see = "; did you mean " + near + "?"
	}
	return usage("unknown flag %s%s%s", dashes, name, see)
}

// arguments checks how many there are, and says what they should be.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least {
			return usage("%s needs %s; see %s --help", c.CommandPath(), what, c.CommandPath())
		}
		if most >= 0 && len(args) > most {
			return usage("%s takes %s, and %q is too much; see %s --help", c.CommandPath(), what, args[most], c.CommandPath())
		}
		return nil
	}
}

func (a *app) help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND]", Short: "Prints the help of a command", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			writeHelp(a.stdout, c)
			return nil
		}}
}

func (a *app) version() *cobra.Command {
	return a.command(verb{
		path: "version", use: "version", short: "Prints version, revision and Go version",
		examples: []string{"c100k version", "c100k version --json | jq -r .revision"},
		args:     arguments(0, 0, "no arguments"),
		run: func(_ context.Context, c call) error {
			if c.Options.Version.JSON {
				return a.writeJSON(version.Get())
			}
			_, err := fmt.Fprintln(a.stdout, version.Get())
			return err
		},
	})
}

func (a *app) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	c := &cobra.Command{Use: "completion SHELL", DisableFlagsInUseLine: true, Short: "Prints a script that completes commands and flags in a shell",
		Long: "SHELL is " + strings.Join(shells, ", ") + ".", ValidArgs: shells, Args: arguments(1, 1, "a shell: "+strings.Join(shells, ", ")),
		Example: strings.Join([]string{
			"source <(c100k completion bash)                               # this shell",
			"c100k completion bash > /etc/bash_completion.d/c100k          # every bash from now on",
			"c100k completion zsh > \"${fpath[1]}/_c100k\"                   # zsh",
			"c100k completion fish > ~/.config/fish/completions/c100k.fish # fish",
		}, "\n")}
	c.RunE = func(c *cobra.Command, args []string) error {
		root := c.Root()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(a.stdout, true)
		case "zsh":
			return root.GenZshCompletion(a.stdout)
		case "fish":
			return root.GenFishCompletion(a.stdout, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(a.stdout)
		}
		near := settings.Nearest(args[0], shells)
		if near != "" {
			near = "; did you mean " + near + "?"
		}
		return usage("%q is not one of %s%s", args[0], strings.Join(shells, ", "), near)
	}
	return c
}
