// Settings in a YAML file: a flat mapping from names to values or lists, read strictly.

package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/printer"
	"github.com/goccy/go-yaml/token"
)

// fileBytesMax bounds the configuration file: the largest sensible one has a few thousand lines,
// and the parser keeps every token of it.
const fileBytesMax = 1 << 20

// fileLayer reads the file that flag or variable `config` names.
func fileLayer(rows []Setting, in Input, env, flags layer) (layer, []error) {
	named, given := flags["config"].(Entry)
	if !given {
		named, given = env["config"].(Entry)
	}
	if !given || named.Texts[len(named.Texts)-1] == "" {
		return layer{}, nil
	}
	path := named.Texts[len(named.Texts)-1]
	content, err := in.ReadFile(path)
	if err == nil && len(content) > fileBytesMax {
		err = fmt.Errorf("has %d bytes; allowed are %d", len(content), fileBytesMax)
	}
	if err != nil {
		var failed *fs.PathError
		if errors.As(err, &failed) {
			err = failed.Err // the problem names the path already
		}
		return layer{}, []error{&Problem{Source{Layer: File, Path: path}, fmt.Errorf("cannot be read: %w (named by %s)", err, named.Source)}}
	}
	return parseFile(rows, path, content)
}

// parseFile finds every setting in the file and everything that is wrong with it.
func parseFile(rows []Setting, path string, content []byte) (layer, []error) {
	f := fileReader{path: path, rows: map[string]*Setting{}, found: layer{}}
	for i := range rows {
		if rows[i].File {
			f.rows[rows[i].Name] = &rows[i]
			f.names = append(f.names, rows[i].Name)
		}
	}
	tree, err := parser.ParseBytes(content, 0)
	if err != nil {
		f.syntax(err)
		return f.found, f.problems
	}
	for i, doc := range tree.Docs {
		switch body := doc.Body.(type) {
		case nil:
		case *ast.MappingNode:
			if i > 0 {
				f.refuse(body.GetToken(), "", "a configuration is one YAML document, and here a second one begins")
				break
			}
			for _, pair := range body.Values {
				f.pair(pair)
			}
		case *ast.CommentGroupNode:
		default:
			f.refuse(body.GetToken(), "", "a configuration is a mapping: lines of the form name: value")
		}
	}
	return f.found, f.problems
}

type fileReader struct {
	path     string
	rows     map[string]*Setting
	names    []string
	found    layer
	problems []error
}

func (f *fileReader) source(at *token.Token, name string) Source {
	return Source{Layer: File, Path: f.path, Name: name, Line: at.Position.Line}
}

// refuse adds a problem that shows the lines around the token, with a caret under it.
func (f *fileReader) refuse(at *token.Token, name, format string, args ...any) {
	source := f.source(at, name)
	source.Excerpt = f.excerpt(at)
	f.problems = append(f.problems, &Problem{source, fmt.Errorf(format, args...)})
}

// excerpt shows the lines around the token with a caret under it, and never a secret: errors end up
// in logs.
func (f *fileReader) excerpt(at *token.Token) string {
	var p printer.Printer
	lines := strings.Split(p.PrintErrorToken(at, false), "\n")
	for i, line := range lines {
		for _, row := range f.rows {
			if before, _, found := strings.Cut(line, row.Name+":"); found && row.Secret {
				lines[i] = before + row.Name + ": ***"
			}
		}
	}
	return withoutUsers(strings.Join(lines, "\n"))
}

func (f *fileReader) syntax(err error) {
	var diagnosis yaml.Error
	if errors.As(err, &diagnosis) && diagnosis.GetToken() != nil {
		f.refuse(diagnosis.GetToken(), "", "%s", diagnosis.GetMessage())
		return
	}
	f.problems = append(f.problems, &Problem{Source{Layer: File, Path: f.path, Line: 1}, err})
}

func (f *fileReader) pair(pair *ast.MappingValueNode) {
	key := pair.Key.GetToken()
	row, known := f.rows[key.Value]
	if !known {
		f.refuse(key, "", "%w", &unknownKey{key.Value, f.names})
		return
	}
	texts, err := scalars(pair.Value, isList(row.Value))
	if err != nil {
		f.refuse(key, row.Name, "%w", err)
		return
	}
	if _, list := pair.Value.(*ast.SequenceNode); !list {
		texts = split(row, texts)
	}
	source := f.source(key, row.Name)
	source.Excerpt = f.excerpt(pair.Value.GetToken())
	f.found[row.Name] = Entry{Texts: texts, Source: source}
}

// unknownKey is a key of the file that no setting has.
type unknownKey struct {
	key   string
	names []string // of settings
}

// Error implements error.
func (e *unknownKey) Error() string {
	return fmt.Sprintf("there is no setting %q%s", e.key, suggest(e.key, e.names))
}

// isList tells whether a value is a list in a file: also one whose items have commas in them.
func isList(v Value) bool {
	_, list := v.(interface{ items() []string })
	return list
}

// scalars returns the text of a value, or the texts of a list.
func scalars(node ast.Node, list bool) ([]string, error) {
	if sequence, ok := node.(*ast.SequenceNode); ok {
		if !list {
			return nil, errors.New("takes one value, not a list")
		}
		texts := []string{}
		for _, item := range sequence.Values {
			text, err := scalar(item)
			if err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
		return texts, nil
	}
	text, err := scalar(node)
	return []string{text}, err
}

// scalar returns the text as it stands in the file, so that 64KiB, 30s and 0.5 reach the same
// parser as a flag's.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New(`has no value; write "" for an empty one, or take the line out`)
	default:
		return "", fmt.Errorf("takes a plain value, not %s", describe(node))
	}
}

func describe(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list in a list"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or an alias"
	case *ast.TagNode:
		return "a tag"
	default:
		return "this"
	}
}
