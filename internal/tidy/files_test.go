// The form of Go files: size, format, comments, seeds.

package tidy

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// linesMax bounds a file that is no test. One that is longer has more than one noun in it.
const linesMax = 600

func TestFilesAreShort(t *testing.T) {
	theModule(t).each(func(f *file) {
		if n := bytes.Count(f.src, []byte("\n")); n > linesMax && !f.test {
			t.Errorf("%s has %d lines; the most is %d: what is its second noun?", f.path, n, linesMax)
		}
	})
}

func TestFilesAreFormatted(t *testing.T) {
	theModule(t).each(func(f *file) {
		want, err := format.Source(f.src)
		if err != nil {
			t.Errorf("%s: %v", f.path, err)
		} else if !bytes.Equal(want, f.src) {
			t.Errorf("%s is not as gofmt writes it", f.path)
		}
	})
}

// unfinished is spelt so that this file passes its own test.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

func TestNothingIsLeftForLater(t *testing.T) {
	theModule(t).each(func(f *file) {
		for i, line := range bytes.Split(f.src, []byte("\n")) {
			if word := unfinished.Find(line); word != nil {
				t.Errorf("%s:%d says %s: do it, or open an issue", f.path, i+1, word)
			}
		}
	})
}

func TestPackagesHaveAComment(t *testing.T) {
	m := theModule(t)
	for dir := range m.packages {
		documented := false
		for _, f := range m.code(dir) {
			documented = documented || f.ast.Doc.Text() != ""
		}
		if len(m.code(dir)) > 0 && !documented {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestPublicNamesHaveAComment: a doc comment says meaning, units, errors, and who may call.
func TestPublicNamesHaveAComment(t *testing.T) {
	m := theModule(t)
	for _, dir := range []string{"netpoll", "netpoll/netpolltest", "frame", "broadcast", "server", "socketio"} {
		for _, f := range m.code(dir) {
			for _, decl := range f.ast.Decls {
				for _, name := range undocumented(decl) {
					t.Errorf("%s: %s is exported and has no comment", m.fset.Position(name.Pos()), name.Name)
				}
			}
		}
	}
}

// undocumented are the exported names that a declaration says nothing about. A comment on a group
// holds for all of it.
func undocumented(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc.Text() == "" && (d.Recv == nil || receiver(d).IsExported()) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc.Text() != "" {
			return nil
		}
		names = undocumentedSpecs(d)
	}
	return names
}

func undocumentedSpecs(d *ast.GenDecl) (names []*ast.Ident) {
	for i, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc.Text() == "" {
				names = append(names, s.Name)
			}
		case *ast.ValueSpec:
			// The first of an enumeration names its type, and the comment stands there.
			enumerated := i > 0 && s.Values == nil
			if s.Names[0].IsExported() && s.Doc.Text() == "" && s.Comment.Text() == "" && !enumerated {
				names = append(names, s.Names[0])
			}
		}
	}
	return names
}

// receiver is the type that a method belongs to.
func receiver(d *ast.FuncDecl) *ast.Ident {
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return ast.NewIdent("_")
		}
	}
}

// TestFuzzTargetsHaveSeeds: without seeds a fuzz target is an empty test.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	theModule(t).each(func(f *file) {
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok || !f.test || d.Recv != nil || !strings.HasPrefix(d.Name.Name, "Fuzz") {
				continue
			}
			corpus := filepath.Join(root, path.Dir(f.path), "testdata", "fuzz", d.Name.Name)
			if entries, err := os.ReadDir(corpus); (err != nil || len(entries) == 0) && !callsAdd(d) {
				t.Errorf("%s: %s has neither a corpus in testdata/fuzz/%[2]s nor an f.Add", f.path, d.Name.Name)
			}
		}
	})
}

func callsAdd(d *ast.FuncDecl) (found bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			sel, ok := call.Fun.(*ast.SelectorExpr)
			found = found || ok && sel.Sel.Name == "Add"
		}
		return !found
	})
	return found
}
