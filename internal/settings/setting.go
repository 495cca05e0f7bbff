// A setting: one row of the table, and the names derived from it.

package settings

import (
	"slices"
	"strings"
)

// EnvPrefix begins the name of every environment variable of c100k.
const EnvPrefix = "C100K_"

// Setting is one thing that can be set.
type Setting struct {
	Name     string   // flag without dashes, and key in the file: "max-message"
	Arg      string   // what stands for the value in help; empty: Value.Type()
	Help     string   // what it does, one line, lower case, without a full stop
	Default  string   // default in words, where the value's own form does not say it
	Unit     string   // unit of a plain number; empty: none
	Example  string   // a value to show in `config init` where the default is empty, as YAML
	Field    string   // field of server.Config it fills; empty: none
	Scope    string   // command whose own it is, which then is part of the variable's name; empty: shared
	Commands []string // commands that have it as a flag
	File     bool     // may stand in the configuration file
	Secret   bool     // its value is never shown
	Value    Value    // the variable it fills
}

// Flag returns the flag as it is typed: "--max-message".
func (s *Setting) Flag() string { return "--" + s.Name }

// Env returns the name of its environment variable: "C100K_MAX_MESSAGE", "C100K_PUB_RATE".
func (s *Setting) Env() string {
	name := s.Name
	if s.Scope != "" {
		name = s.Scope + "-" + name
	}
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// On says whether the command has it as a flag. A command is named by its path without the program:
// "config show".
func (s *Setting) On(command string) bool { return slices.Contains(s.Commands, command) }

// DefaultText is the default as help shows it. It is right only before anything has been loaded
// into the row.
func (s *Setting) DefaultText() string {
	if s.Default != "" {
		return s.Default
	}
	if text := s.Value.String(); text != "" {
		return text
	}
	return "none"
}

// ArgText is what stands for the value in help; empty for a switch.
func (s *Setting) ArgText() string {
	if s.Arg != "" {
		return s.Arg
	}
	return s.Value.Type()
}
