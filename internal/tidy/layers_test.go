// The layers: the table of ARCHITECTURE.md is the rule, and the imports are held against it.

package tidy

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// leaves are the packages of the idea, with all that they may import beside the standard library:
// an embedder's module graph stays small.
var leaves = map[string][]string{
	"netpoll":      {"github.com/mailru/easygo/", "golang.org/x/sys/"},
	"frame":        {"github.com/gobwas/ws", "github.com/klauspost/compress/", "github.com/segmentio/asm/"},
	"broadcast":    nil,
	"internal/bus": nil,
}

// loopKeepers may have a *netpoll.Loop in a struct: the one who makes loops (internal/node), the
// sink of the rooms (socketio), the part of a server whose connections have methods without a loop
// (websocket), and the packages that stand in for them in tests.
var loopKeepers = []string{"netpoll", "internal/node", "socketio", "websocket", "netpoll/netpolltest", "internal/prototest"}

// row is one package in the table of ARCHITECTURE.md.
type row struct {
	layer string // "0" to "3", or "test"
	any   bool   // may import every package of its layer and below
	may   []string
}

var (
	tableRow = regexp.MustCompile("(?m)^\\| (0|1|2|3|test) \\| `([a-z0-9/]+\\*?)` \\|[^|\n]*\\| ([^|\n]*) \\|$")
	quoted   = regexp.MustCompile("`([a-z0-9/]+\\*?)`")
)

func readTable(t *testing.T) map[string]row {
	t.Helper()
	table := map[string]row{}
	for _, match := range tableRow.FindAllStringSubmatch(document(t, "ARCHITECTURE.md"), -1) {
		r := row{layer: match[1]}
		switch {
		case match[3] == "any":
			r.any = true
		case strings.HasPrefix(match[3], "core"):
			r.may = []string{"netpoll", "frame", "broadcast"}
		}
		for _, name := range quoted.FindAllStringSubmatch(match[3], -1) {
			r.may = append(r.may, theModule(t).inFull(name[1]))
		}
		prefix, all := strings.CutSuffix(match[2], "*") // a row for all packages below a folder
		if !all {
			table[match[2]] = r
			continue
		}
		for dir := range theModule(t).packages {
			if strings.HasPrefix(dir, prefix) {
				table[dir] = r
			}
		}
	}
	if len(table) == 0 {
		t.Fatal("ARCHITECTURE.md: no table of layers")
	}
	return table
}

// TestTableGoesDown holds the table itself to the idea: leaves import nothing of ours, nobody
// imports upwards.
func TestTableGoesDown(t *testing.T) {
	table := readTable(t)
	for name, r := range table {
		if r.any {
			continue // TestImportsKeepToTheTable holds the imports themselves against the layers
		}
		if r.layer == "0" && len(r.may) > 0 {
			t.Errorf("ARCHITECTURE.md: %s is in layer 0, and layer 0 imports nothing of ours", name)
		}
		for _, other := range r.may {
			below, known := table[other]
			switch {
			case !known:
				t.Errorf("ARCHITECTURE.md: %s may import %s, which is not in the table", name, other)
			case below.layer > r.layer:
				t.Errorf("ARCHITECTURE.md: %s (layer %s) may import %s (layer %s): arrows go down only", name, r.layer, other, below.layer)
			}
		}
	}
}

// TestTableIsComplete: each package has a row, and each row a package.
func TestTableIsComplete(t *testing.T) {
	table, m := readTable(t), theModule(t)
	for dir := range m.packages {
		if _, ok := table[dir]; !ok {
			t.Errorf("package %s is not in the table of ARCHITECTURE.md: give it a layer", dir)
		}
	}
	for dir := range table {
		if len(m.packages[dir]) == 0 {
			t.Errorf("ARCHITECTURE.md: there is no package %s", dir)
		}
	}
}

func TestImportsKeepToTheTable(t *testing.T) {
	table, m := readTable(t), theModule(t)
	for _, dir := range slices.Sorted(maps.Keys(m.packages)) {
		for _, f := range m.code(dir) {
			for _, p := range f.imports() {
				ours, is := strings.CutPrefix(p, modulePath+"/")
				if is && table[dir].any {
					if table[ours].layer > table[dir].layer {
						t.Errorf("%s imports %s, which is in a layer above it", f.path, ours)
					}
					continue
				}
				if is && !slices.Contains(table[dir].may, ours) {
					t.Errorf("%s imports %s; the table of ARCHITECTURE.md allows %s only: %v", f.path, ours, dir, table[dir].may)
				}
			}
		}
	}
}

func TestLeavesStaySmall(t *testing.T) {
	m := theModule(t)
	for dir, allowed := range leaves {
		for _, f := range m.code(dir) {
			for _, p := range f.imports() {
				if outside(p) && !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(p, a) }) {
					t.Errorf("%s imports %s; a leaf may import the standard library and %v", f.path, p, allowed)
				}
			}
		}
	}
}

// outside tells whether an import path is neither ours nor the standard library's: those have no
// dot in their first part.
func outside(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return strings.Contains(first, ".")
}

// TestNobodyKeepsTheLoop: the loop is an argument. A type that stores one hides on which goroutine
// it may be used.
func TestNobodyKeepsTheLoop(t *testing.T) {
	m := theModule(t)
	for dir := range m.packages {
		if slices.Contains(loopKeepers, dir) {
			continue
		}
		for _, f := range m.code(dir) {
			name := f.imported(modulePath + "/netpoll")
			if name == "" {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				s, ok := n.(*ast.StructType)
				if !ok {
					return true
				}
				for _, field := range s.Fields.List {
					if mentionsLoop(field.Type, name) {
						t.Errorf("%s: a struct keeps a netpoll.Loop; take it as an argument, or keep its Remote", m.fset.Position(field.Pos()))
					}
				}
				return true
			})
		}
	}
}

// mentionsLoop tells whether a value of the type holds a Loop. One that a function takes is not
// held.
func mentionsLoop(e ast.Expr, netpoll string) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType, *ast.InterfaceType:
			return false
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			found = found || ok && x.Name == netpoll && n.Sel.Name == "Loop"
		}
		return true
	})
	return found
}
