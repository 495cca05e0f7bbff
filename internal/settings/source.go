// Where a value came from, and what can be wrong with it.

package settings

import (
	"errors"
	"fmt"
	"strings"
)

// Layer is one of the four places where a setting can be set; a higher one wins.
type Layer int

// The layers, lowest first.
const (
	Default Layer = iota
	File
	Env
	Flag
)

// Source is where a value was said.
type Source struct {
	Layer   Layer
	Name    string // as it was said there: "max-message", "C100K_MAX_MESSAGE", "--max-message"
	Path    string // of the file
	Line    int    // in the file, from 1
	Excerpt string // the lines of the file around it, with a caret; may be empty
}

// String names the place: "default", "c100k.yaml:3", "C100K_MAX_MESSAGE", "--max-message".
func (s Source) String() string {
	switch s.Layer {
	case File:
		if s.Line == 0 {
			return s.Path
		}
		return fmt.Sprintf("%s:%d", s.Path, s.Line)
	case Env, Flag:
		return s.Name
	default:
		return "default"
	}
}

// Problem is one thing that is wrong with what was set.
type Problem struct {
	Source Source
	Err    error
}

// Error begins with the place: "--max-message: …", "C100K_MAX_MESSAGE: …", "c100k.yaml:3:
// max-message: …". What nobody has set is named as the flag that sets it.
func (p *Problem) Error() string {
	text := p.Source.String() + ": "
	switch {
	case p.Source.Layer == File && p.Source.Name != "":
		text += p.Source.Name + ": "
	case p.Source.Layer == Default:
		text = "--" + p.Source.Name + ": "
	}
	text += p.Err.Error()
	if p.Source.Excerpt != "" {
		text += "\n" + strings.TrimRight(p.Source.Excerpt, "\n")
	}
	return text
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Parts takes an errors.Join apart, to any depth; any other error is its only part.
func Parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var parts []error
	var lines []string
	for _, e := range joined.Unwrap() {
		parts = append(parts, Parts(e)...)
		lines = append(lines, e.Error())
	}
	// fmt.Errorf with several %w unwraps the same way, but is one sentence.
	if strings.Join(lines, "\n") != err.Error() {
		return []error{err}
	}
	return parts
}

// OnlyFlags says whether everything wrong in err was said on the command line: a usage error, not
// an invalid configuration.
func OnlyFlags(err error) bool {
	for _, part := range Parts(err) {
		var problem *Problem
		if !errors.As(part, &problem) || problem.Source.Layer != Flag {
			return false
		}
	}
	return true
}
