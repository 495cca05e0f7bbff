// `c100k man`: manual pages, from the same table as the help.

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"c100k/internal/settings"
	"c100k/internal/version"
)

// filePage is the page of the configuration file, in section 5.
const filePage = "c100k.yaml"

func (a *app) man() *cobra.Command {
	return a.command(verb{
		path: "man", use: "man [COMMAND]", short: "Prints a manual page: of c100k, of a command, or of the configuration file",
		long: "COMMAND is a command, such as serve or config check, or c100k.yaml for the configuration file.\n" +
			"Without it the page is c100k(1). The packages have all pages installed: man c100k-serve.",
		examples: []string{
			"c100k man serve | man -l -",
			"c100k man c100k.yaml | man -l -",
			"c100k man --dir /usr/local/share/man                   # every page, for man(1) to find",
		},
		args: arguments(0, 2, "at most one COMMAND"),
		run: func(_ context.Context, c call) error {
			root := a.root()
			if dir := c.Options.Man.Dir; dir != "" {
				if len(c.args) > 0 {
					return usage("--dir writes every page: %q is too much", strings.Join(c.args, " "))
				}
				return writePages(root, dir)
			}
			page, err := pageOf(root, c.args)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.stdout, page)
			return err
		},
	})
}

// pageOf is the page that the words name.
func pageOf(root *cobra.Command, words []string) (string, error) {
	if len(words) == 1 && words[0] == filePage {
		return manFile()
	}
	c, rest, err := root.Find(words)
	if err != nil || len(rest) > 0 || (len(words) > 0 && !c.IsAvailableCommand()) {
		return "", unknownCommand(root, strings.Join(words, " "))
	}
	return manCommand(c), nil
}

// writePages writes the page of every command, and of the file.
func writePages(root *cobra.Command, dir string) error {
	pages := map[string]string{}
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		pages[filepath.Join("man1", manName(c)+".1")] = manCommand(c)
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				add(sub)
			}
		}
	}
	add(root)
	file, err := manFile()
	if err != nil {
		return err
	}
	pages[filepath.Join("man5", filePage+".5")] = file
	for name, page := range pages {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manName is the name of a command's page: "c100k-config-check".
func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manCommand is the page of a command.
func manCommand(c *cobra.Command) string {
	p := newPage(manName(c), 1, c.Short)
	path, named := c.Annotations[pathKey]
	flags := settings.HelpOf(path)
	p.section("SYNOPSIS")
	p.literal(useLine(c))
	if c.Long != "" {
		p.section("DESCRIPTION")
		p.prose(c.Long)
	}
	if c.HasAvailableSubCommands() {
		p.section("COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				p.item(sub.Name(), sub.Short+"; see "+manName(sub)+"(1).")
			}
		}
	}
	if named && len(flags) > 0 {
		p.section("OPTIONS")
		p.flags(flags)
	}
	p.section("EXAMPLES")
	p.literal(c.Example)
	p.section("SEE ALSO")
	see := []string{filePage + "(5)"}
	if c.HasParent() {
		see = append([]string{manName(c.Parent()) + "(1)"}, see...)
	}
	p.line(strings.Join(see, ", "))
	return p.String()
}

// manFile is the page of the configuration file.
func manFile() (string, error) {
	keys, err := settings.KeysOfFile()
	if err != nil {
		return "", err
	}
	p := newPage(filePage, 5, "Configuration of a c100k node")
	p.section("DESCRIPTION")
	p.prose("The file is YAML: one setting a line. Environment variables and flags override it. An unknown\n" +
		"key is an error. The packages install it as /etc/c100k/c100k.yaml; c100k config init writes a new\n" +
		"one, c100k config check FILE validates one, c100k config show prints what holds.")
	p.section("SETTINGS")
	p.line("Each setting stands here with its default, or with an example where the default is none.")
	p.flags(keys)
	p.section("SEE ALSO")
	p.line("c100k(1), c100k-serve(1), c100k-config(1)")
	return p.String(), nil
}

// page is a manual page in the macros of man(7).
type page struct{ strings.Builder }

func newPage(name string, section int, purpose string) *page {
	p := &page{}
	// Without a date, so that two builds give the same bytes.
	fmt.Fprintf(p, ".TH %s %d \"\" %q \"c100k manual\"\n", roff(strings.ToUpper(name)), section, "c100k "+version.Get().Version)
	p.section("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", roff(name), roff(purpose))
	return p
}

func (p *page) section(name string) { fmt.Fprintf(p, ".SH %s\n", name) }

// line writes one line of text, which man fills.
func (p *page) line(text string) { fmt.Fprintln(p, roff(text)) }

// prose writes paragraphs: an empty line separates them.
func (p *page) prose(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			fmt.Fprintln(p, ".PP")
			continue
		}
		p.line(line)
	}
}

// literal writes lines as they are.
func (p *page) literal(text string) {
	fmt.Fprint(p, ".PP\n.nf\n")
	for line := range strings.SplitSeq(text, "\n") {
		p.line(line)
	}
	fmt.Fprint(p, ".fi\n")
}

func (p *page) item(term, text string) {
	fmt.Fprintf(p, ".TP\n.B %s\n%s\n", roff(term), roff(text))
}

func (p *page) flags(flags []settings.FlagHelp) {
	for _, flag := range flags {
		p.item(flag.Flag, flag.Help)
		fmt.Fprintf(p, ".br\n%s\n", roff(flag.Facts))
	}
}

// escapes are the characters that roff takes for its own. A plain - would become a hyphen, which
// cannot be searched for or pasted; ' and ` would become quotes of typography.
var escapes = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`)

// roff writes text so that man shows it as it is. A line that begins with . or ' would be a
// request. What is not ASCII is written by its number, for a roff that reads bytes.
func roff(text string) string {
	text = escapes.Replace(text)
	out := strings.Builder{}
	if strings.HasPrefix(text, ".") {
		out.WriteString(`\&`)
	}
	for _, r := range text {
		if r < utf8.RuneSelf {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\[u%04X]`, r)
		}
	}
	return out.String()
}
