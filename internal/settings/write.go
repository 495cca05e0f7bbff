// What the table looks like in help, as a configuration file, and as the effective configuration.

package settings

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// FlagHelp is what help and man pages say of a flag.
type FlagHelp struct {
	Flag  string // as it is typed, with what stands for its value: "--drain DURATION"
	Help  string // what it does
	Facts string // default, unit and environment variable
}

// HelpOf returns the command's flags in the order of help.
func HelpOf(command string) []FlagHelp {
	var flags []FlagHelp
	for _, row := range Table(defaults()) {
		if row.On(command) {
			flags = append(flags, FlagHelp{strings.TrimSpace(row.Flag() + " " + row.ArgText()), row.Help, row.facts(row.Env())})
		}
	}
	return flags
}

// KeysOfFile returns the keys of the configuration file, in its order. Flag is a line of the file.
func KeysOfFile() ([]FlagHelp, error) {
	var keys []FlagHelp
	for _, row := range Table(defaults()) {
		if !row.File {
			continue
		}
		value, err := row.example()
		if err != nil {
			return nil, err
		}
		keys = append(keys, FlagHelp{row.Name + ": " + value, row.Help, row.facts(row.Env(), row.Flag())})
	}
	return keys, nil
}

// WriteHelp writes the command's flags, two or three lines each: the flag, what it does, its
// default, unit and variable.
func WriteHelp(w io.Writer, command string) {
	for _, flag := range HelpOf(command) {
		fmt.Fprintf(w, "  %s\n      %s\n      %s\n", flag.Flag, flag.Help, flag.Facts)
	}
}

// facts is the line with default, unit and the given places.
func (s *Setting) facts(places ...string) string {
	facts := []string{"default " + s.DefaultText()}
	if s.Unit != "" {
		facts = append(facts, "unit "+s.Unit)
	}
	return strings.Join(append(facts, places...), " | ")
}

// Flagged returns the names of the command's flags, for the nearest to one that is not known.
func Flagged(command string) []string {
	var names []string
	for _, row := range Table(defaults()) {
		if row.On(command) {
			names = append(names, row.Flag())
		}
	}
	return names
}

// Choices returns the words that flags of a command can be, by the name of the flag: shells
// complete them.
func Choices(command string) map[string][]string {
	choices := make(map[string][]string)
	for _, row := range Table(defaults()) {
		if words := row.Value.Choices(); words != nil && row.On(command) {
			choices[row.Name] = words
		}
	}
	return choices
}

// WriteFile writes a configuration file with every setting in it, commented out, at its default.
func WriteFile(w io.Writer) error {
	text := strings.Builder{}
	text.WriteString(`# Configuration of a c100k node: c100k serve --config FILE
#
# Every setting stands here at its default, or with an example where the default is
# none. Take the # off those you change. C100K_ variables and flags go above this file;
# "c100k config check FILE" checks it, "c100k config show --config FILE" prints what holds.
`)
	keys, err := KeysOfFile()
	if err != nil {
		return err
	}
	for _, key := range keys {
		fmt.Fprintf(&text, "\n# %s\n# %s\n#%s\n", key.Help, key.Facts, key.Flag)
	}
	_, err = io.WriteString(w, text.String())
	return err
}

func (s *Setting) example() (string, error) {
	if s.Example != "" {
		return s.Example, nil
	}
	return s.yaml()
}

// yaml writes the value as YAML, on one line.
func (s *Setting) yaml() (string, error) {
	out, err := yaml.MarshalWithOptions(s.Value.Native(), yaml.Flow(true))
	if err != nil {
		return "", fmt.Errorf("write %s as YAML: %w", s.Name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// WriteEffective writes the settings of a node as they hold, defaults filled in, as YAML with the
// source of each in a comment. Secrets are left out, and said to be set; users and passwords of
// URLs are hidden.
func (l *Loaded) WriteEffective(w io.Writer) error {
	options := *l.Options
	options.Node = options.Node.WithDefaults()
	text := strings.Builder{}
	for _, row := range Table(&options) {
		if !row.File {
			continue
		}
		value, err := row.yaml()
		if err != nil {
			return err
		}
		line := row.Name + ": " + withoutUsers(value)
		if row.Secret && row.Value.String() != "" {
			line = "# " + row.Name + " is set"
		}
		fmt.Fprintf(&text, "%-44s # %s\n", line, l.Source(row.Name).describe())
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// Changes lists the settings of a node whose values differ, as "name: old → new", in the order of
// the table. Of secrets it has only the name; users and passwords of URLs are hidden.
func Changes(old, now *Loaded) []string {
	changes := []string{}
	before := Table(old.Options)
	for i, row := range Table(now.Options) {
		was, is := before[i].Value.String(), row.Value.String()
		switch {
		case !row.File || was == is:
		case row.Secret:
			changes = append(changes, row.Name)
		default:
			changes = append(changes, withoutUsers(fmt.Sprintf("%s: %s → %s", row.Name, orNone(was), orNone(is))))
		}
	}
	return changes
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// userOfURL is what stands before the @ of a URL: a user, a password, a token.
var userOfURL = regexp.MustCompile(`://[^/@\s]+@`)

// withoutUsers hides who logs in at URLs, and with what.
func withoutUsers(text string) string { return userOfURL.ReplaceAllString(text, "://xxxxx@") }

// describe is the source with the word for its layer.
func (s Source) describe() string {
	switch s.Layer {
	case Env:
		return "environment " + s.Name
	case Flag:
		return "flag " + s.Name
	default:
		return s.String()
	}
}
