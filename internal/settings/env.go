// Settings in the environment.

package settings

import (
	"errors"
	"regexp"
	"strings"
)

// kubernetesLink matches what Kubernetes puts into every container of a namespace that has a
// service whose name begins with "c100k": C100K_SERVICE_HOST, C100K_PORT_8080_TCP_ADDR. Those are
// not ours, and no typing errors.
var kubernetesLink = regexp.MustCompile(`^C100K(_[A-Z0-9_]+)?_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// envLayer picks the command's settings out of the environment ("NAME=value" each). A C100K_
// variable that no command knows is a problem.
func envLayer(rows []Setting, command string, environ []string) (layer, []error) {
	byName := map[string]*Setting{}
	var names []string
	for i := range rows {
		byName[rows[i].Env()] = &rows[i]
		names = append(names, rows[i].Env())
	}
	found := layer{}
	var problems []error
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		source := Source{Layer: Env, Name: name}
		switch setting := byName[name]; {
		case setting != nil && setting.On(command):
			found[setting.Name] = Entry{Texts: split(setting, []string{value}), Source: source}
		case setting == nil && !kubernetesLink.MatchString(name):
			problems = append(problems, &Problem{source, errors.New("there is no such setting" + suggest(name, names))})
		}
	}
	return found, problems
}
