// The module as the tests see it: its packages, their files, and its documents.

package tidy

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	root       = "../.."
	modulePath = "c100k"
)

// file is one Go file.
type file struct {
	path string // from the root of the module, with slashes
	src  []byte
	ast  *ast.File
	test bool // a _test.go, or only built for tests
}

// module is every Go file by the folder it is in, from the root of the module.
type module struct {
	fset     *token.FileSet
	packages map[string][]*file
}

// inFull is the path of a package that may be written without its internal/.
func (m *module) inFull(name string) string {
	if _, here := m.packages[name]; !here {
		return "internal/" + name
	}
	return name
}

var load = sync.OnceValues(func() (*module, error) {
	m := &module{fset: token.NewFileSet(), packages: map[string][]*file{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return m.enter(name, d.Name())
		case strings.HasSuffix(name, ".go"):
			return m.add(name)
		}
		return nil
	})
	return m, err
})

// enter skips what is no part of the module.
func (m *module) enter(name, base string) error {
	if name == root {
		return nil
	}
	if base == "testdata" || base == "node_modules" || base == "bin" || base[0] == '.' || base[0] == '_' {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return filepath.SkipDir // a module of its own
	}
	return nil
}

func (m *module) add(name string) error {
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(m.fset, name, src, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return err
	}
	f := &file{path: filepath.ToSlash(rel), src: src, ast: parsed, test: strings.HasSuffix(name, "_test.go") || bytes.Contains(src, layerTest)}
	dir := path.Dir(f.path)
	m.packages[dir] = append(m.packages[dir], f)
	return nil
}

func theModule(t *testing.T) *module {
	t.Helper()
	m, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// each calls f for every file.
func (m *module) each(f func(*file)) {
	for _, files := range m.packages {
		for _, one := range files {
			f(one)
		}
	}
}

// code is the files of a folder that are no tests.
func (m *module) code(dir string) []*file {
	return slices.DeleteFunc(slices.Clone(m.packages[dir]), func(f *file) bool { return f.test })
}

// layerTest is the constraint of files that are only built for tests of layers.
var layerTest = []byte("\n//go:build layertest\n")

// imports are the import paths of a file.
func (f *file) imports() (paths []string) {
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has seen it: it is a string
		}
		paths = append(paths, p)
	}
	return paths
}

// imported is the name under which f imports a path; "" if it does not.
func (f *file) imported(importPath string) string {
	for i, p := range f.imports() {
		if p != importPath {
			continue
		}
		if name := f.ast.Imports[i].Name; name != nil {
			return name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// document reads a file of the root.
func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
