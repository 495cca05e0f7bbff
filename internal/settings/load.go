// Load lays the four layers over each other.

package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/knadh/koanf/v2"

	"c100k/server"
)

// Input is where Load looks.
type Input struct {
	Command string   // whose settings: "serve", "config show"
	Flags   Flags    // from AddFlags, after parsing
	Environ []string // as os.Environ
	// ReadFile reads the configuration file; os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Loaded is the outcome of Load: the options, and for each setting its source.
type Loaded struct {
	Options *Options
	rows    []Setting
	sources map[string]Source
}

// Entry is what one layer says about one setting.
type Entry struct {
	Texts  []string
	Source Source
}

// layer is what one place says, by the names of the settings. It is a koanf.Provider.
type layer map[string]any

// Read implements koanf.Provider.
func (l layer) Read() (map[string]any, error) { return l, nil }

// ReadBytes implements koanf.Provider.
func (l layer) ReadBytes() ([]byte, error) { return nil, errors.New("a layer has no bytes") }

// Load fills an Options from defaults < file < environment < flags. The error joins every *Problem
// found, so that a user sees them all at once; what could be loaded is returned beside it.
func Load(in Input) (*Loaded, error) {
	options := defaults()
	l := &Loaded{Options: options, rows: Table(options), sources: map[string]Source{}}
	env, problems := envLayer(l.rows, in.Command, in.Environ)
	flags := flagLayer(l.rows, in)
	file, fileProblems := fileLayer(l.rows, in, env, flags)
	problems = append(fileProblems, problems...)

	values := koanf.New("/")
	for _, over := range []layer{file, env, flags} {
		if err := values.Load(over, nil); err != nil {
			return l, fmt.Errorf("merge settings: %w", err)
		}
	}
	for i := range l.rows {
		row := &l.rows[i]
		entry, given := values.Get(row.Name).(Entry)
		if !given || !row.On(in.Command) {
			continue
		}
		l.sources[row.Name] = entry.Source
		if err := row.Value.Set(entry.Texts); err != nil {
			problems = append(problems, &Problem{entry.Source, err})
		}
	}
	return l, errors.Join(problems...)
}

func flagLayer(rows []Setting, in Input) layer {
	found := layer{}
	for i := range rows {
		row := &rows[i]
		if texts, typed := in.Flags[row.Name]; typed && row.On(in.Command) {
			found[row.Name] = Entry{Texts: split(row, texts), Source: Source{Layer: Flag, Name: row.Flag()}}
		}
	}
	return found
}

// split cuts the texts of a list at its commas. An empty text is an empty list.
func split(row *Setting, texts []string) []string {
	if !row.Value.List() {
		return texts
	}
	items := []string{}
	for _, text := range texts {
		if text == "" {
			continue
		}
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, strings.TrimSpace(item))
		}
	}
	return items
}

// Source returns where the setting's value came from.
func (l *Loaded) Source(name string) Source {
	if source, given := l.sources[name]; given {
		return source
	}
	return Source{Layer: Default, Name: name}
}

// Given says whether anything but the default set it.
func (l *Loaded) Given(name string) bool { return l.Source(name).Layer != Default }

// Explain turns what server.Config said about its fields into problems that name the place where
// each was set. Other errors, and nil, come back as they are.
func (l *Loaded) Explain(err error) error {
	if err == nil {
		return nil
	}
	var explained []error
	for _, part := range Parts(err) {
		explained = append(explained, l.explain(part))
	}
	return errors.Join(explained...)
}

func (l *Loaded) explain(err error) error {
	var field *server.FieldError
	var setting *server.SettingError
	switch {
	case errors.As(err, &field):
		return l.problem(field.Field, err, fmt.Errorf("%s is refused; %s", field.Given, l.inFlags(field.Allowed)))
	case errors.As(err, &setting):
		return l.problem(setting.Field, err, setting.Err)
	}
	return err
}

// problem is what is wrong with the value of a field of server.Config; err, if no setting fills it.
func (l *Loaded) problem(field string, err, why error) error {
	for i := range l.rows {
		if l.rows[i].Field != field {
			continue
		}
		source := l.Source(l.rows[i].Name)
		if source.Layer == Default && l.onlyFlags() {
			// Another setting needs this one, and it was a flag that said so.
			source = Source{Layer: Flag, Name: l.rows[i].Flag()}
		}
		return &Problem{source, why}
	}
	return err
}

// onlyFlags says whether settings were given, and all of them on the command line.
func (l *Loaded) onlyFlags() bool {
	for _, source := range l.sources {
		if source.Layer != Flag {
			return false
		}
	}
	return len(l.sources) > 0
}

var capitalised = regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)

// inFlags replaces names of fields of server.Config in a sentence by those of their flags.
func (l *Loaded) inFlags(text string) string {
	return capitalised.ReplaceAllStringFunc(text, func(word string) string {
		for i := range l.rows {
			if l.rows[i].Field == word {
				return "--" + l.rows[i].Name
			}
		}
		return word
	})
}
