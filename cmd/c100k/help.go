// Help: purpose first, then examples, usage, commands and flags.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"c100k/internal/settings"
)

func writeHelp(w io.Writer, c *cobra.Command) {
	text := &strings.Builder{}
	fmt.Fprintf(text, "%s\n\nExamples:\n", c.Short)
	for line := range strings.SplitSeq(c.Example, "\n") {
		fmt.Fprintf(text, "  %s\n", line)
	}
	if c.Long != "" {
		fmt.Fprintf(text, "\n%s\n", c.Long)
	}
	path, named := c.Annotations[pathKey]
	fmt.Fprintf(text, "\nUsage:\n  %s\n", useLine(c))
	if c.HasAvailableSubCommands() {
		text.WriteString("\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(text, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
		fmt.Fprintf(text, "\n%s COMMAND --help has the details.\n", c.CommandPath())
	}
	if named && len(settings.Flagged(path)) > 0 {
		text.WriteString("\nFlags (the last line of each: default, unit, environment variable):\n")
		settings.WriteHelp(text, path)
	}
	// A terminal that went away is nobody to tell.
	_, _ = io.WriteString(w, text.String())
}

// useLine is how a command is typed.
func useLine(c *cobra.Command) string {
	path, named := c.Annotations[pathKey]
	if c.HasAvailableSubCommands() && !named {
		return c.CommandPath() + " COMMAND"
	}
	use := c.UseLine()
	if named {
		use = strings.TrimSuffix(use, " [flags]")
		if len(settings.Flagged(path)) > 0 {
			use += " [flags]"
		}
	}
	return use
}

// writeJSON prints a value as indented JSON.
func (a *app) writeJSON(v any) error {
	out := json.NewEncoder(a.stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
