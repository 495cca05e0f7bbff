// Settings on the command line.

package settings

import (
	"strings"

	"github.com/spf13/pflag"
)

// Flags are the flags of a command as they were typed: name to texts, in order. Nothing is parsed
// until Load, so that a flag's value is judged by the same words as a variable's, and a reload can
// lay them over a changed file.
type Flags map[string][]string

// AddFlags declares the command's settings as flags that are recorded in the Flags it returns.
func AddFlags(set *pflag.FlagSet, command string) Flags {
	typed := Flags{}
	for _, setting := range Table(defaults()) {
		if !setting.On(command) {
			continue
		}
		flag := set.VarPF(&recorder{typed: typed, setting: setting}, setting.Name, "", setting.Help)
		if setting.Value.Type() == "" {
			flag.NoOptDefVal = "on"
		}
	}
	return typed
}

// recorder is a pflag.Value that only takes down.
type recorder struct {
	typed   Flags
	setting Setting
}

func (r *recorder) Set(text string) error {
	r.typed[r.setting.Name] = append(r.typed[r.setting.Name], text)
	return nil
}

func (r *recorder) String() string { return strings.Join(r.typed[r.setting.Name], ",") }
func (r *recorder) Type() string   { return r.setting.ArgText() }
