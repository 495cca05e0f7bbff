// All problems of a configuration at once, in the order of its lines.

package settings

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// All joins what Load found wrong (loading, which may be nil) and what checks find wrong with the
// rest, in the order of the lines of the file; what was said elsewhere comes behind. checks return
// what server.Config says of its fields. What they say of a setting that could not be loaded, or
// because it is missing, is left out. Where the file as a whole cannot be read, they are not run.
func (l *Loaded) All(loading error, checks ...func() error) error {
	var all []error
	broken := map[string]bool{} // names of settings
	if loading != nil {
		all = Parts(loading)
	}
	for _, part := range all {
		names, whole := l.concerns(part)
		if !whole {
			return sorted(all)
		}
		for _, name := range names {
			broken[name] = true
		}
	}
	for _, check := range checks {
		err := check()
		if err == nil {
			continue
		}
		found := map[string]bool{}
		for _, part := range Parts(l.Explain(err)) {
			names, _ := l.concerns(part)
			if slices.ContainsFunc(names, func(name string) bool { return broken[name] }) {
				continue
			}
			all = append(all, part)
			for _, name := range names {
				found[name] = true
			}
		}
		for name := range found {
			broken[name] = true // the next check would say the same in other words
		}
	}
	return sorted(all)
}

// concerns are the names of the settings that a problem is about, or speaks of. whole is false for
// a problem with the file as a whole.
func (l *Loaded) concerns(err error) (names []string, whole bool) {
	var problem *Problem
	if !errors.As(err, &problem) {
		return nil, true
	}
	var unknown *unknownKey
	if errors.As(err, &unknown) {
		return []string{Nearest(unknown.key, unknown.names)}, true
	}
	if problem.Source.Layer == File && problem.Source.Name == "" {
		return nil, false
	}
	text := problem.Err.Error() + " "
	for i := range l.rows {
		row := &l.rows[i]
		switch problem.Source.Name {
		case row.Name, row.Flag(), row.Env():
			names = append(names, row.Name)
			continue
		}
		if at := strings.Index(text, row.Flag()); at >= 0 && !strings.ContainsAny(text[at+len(row.Flag()):][:1], "-abcdefghijklmnopqrstuvwxyz") {
			names = append(names, row.Name)
		}
	}
	return names, true
}

// sorted joins problems: those of the file by their lines, then the others, as they came.
func sorted(all []error) error {
	slices.SortStableFunc(all, func(x, y error) int { return cmp.Compare(place(x), place(y)) })
	return errors.Join(all...)
}

// place is the line of a problem in the file, and behind all lines for one that was said elsewhere.
func place(err error) int {
	var problem *Problem
	if errors.As(err, &problem) && problem.Source.Layer == File {
		return problem.Source.Line
	}
	return fileBytesMax + 1
}
