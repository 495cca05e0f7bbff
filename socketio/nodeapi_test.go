// The table of docs/socketio.md, beside the typings of the npm packages and the names of this
// package.

package socketio

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// typings are the declarations whose members the table has, and the name of each in the table.
var typings = []struct{ file, declaration, name string }{
	{"socket.io/dist/index.d.ts", "class Server", "Server"},
	{"socket.io/dist/index.d.ts", "interface ServerOptions", "ServerOptions"},
	{"engine.io/build/server.d.ts", "interface ServerOptions", "ServerOptions"},
	{"engine.io/build/server.d.ts", "interface AttachOptions", "AttachOptions"},
	{"socket.io/dist/namespace.d.ts", "class Namespace", "Namespace"},
	{"socket.io/dist/parent-namespace.d.ts", "class ParentNamespace", "ParentNamespace"},
	{"socket.io/dist/socket.d.ts", "class Socket", "Socket"},
	{"socket.io/dist/broadcast-operator.d.ts", "class BroadcastOperator", "BroadcastOperator"},
	{"socket.io/dist/broadcast-operator.d.ts", "class RemoteSocket", "RemoteSocket"},
	{"socket.io/dist/socket-types.d.ts", "interface Handshake", "Handshake"},
	{"engine.io/build/server.d.ts", "class BaseServer", "Engine"},
	{"engine.io/build/server.d.ts", "class Server", "Engine"},
	{"engine.io/build/socket.d.ts", "class Socket", "Conn"},
}

var (
	tsComment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	tsMember  = regexp.MustCompile(`(?m)^    ((?:(?:readonly|static|get|set|protected|abstract|private) )*)([A-Za-z]\w*)\??\s*[<(:;]`)
	tableRow  = regexp.MustCompile("(?m)^\\| `([^`|]+)` \\| (there|different|not there) \\| (.+) \\|$")
	goName    = regexp.MustCompile("`([A-Z]\\w*\\.[A-Z]\\w*)`")
)

// tsMembers returns the public members of a declaration.
func tsMembers(t *testing.T, file, declaration string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(clientScripts, "node_modules", file))
	if err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	code := tsComment.ReplaceAllString(string(text), "")
	at := regexp.MustCompile(`(?m)^(export |declare |abstract )*` + declaration + `\b`).FindStringIndex(code)
	if at == nil {
		t.Fatalf("%s has no %s", file, declaration)
	}
	_, body, _ := strings.Cut(code[at[0]:], "{\n")
	body, _, _ = strings.Cut(body, "\n}")
	for _, m := range tsMember.FindAllStringSubmatch(body, -1) {
		hidden := strings.Contains(m[1], "private") || strings.Contains(m[1], "protected")
		if !hidden && m[2] != "constructor" && !slices.Contains(names, m[2]) {
			names = append(names, m[2])
		}
	}
	return names
}

// exportedNames returns the exported methods and fields of the package, as Type.Name.
func exportedNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, _ := filepath.Glob("*.go")
	for _, file := range append(files, "../internal/engineio/request.go") {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil {
					names[receiver(n.Recv.List[0].Type)+"."+n.Name.Name] = true
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						for _, name := range f.Names {
							names[n.Name.Name+"."+name.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	return names
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// Each name of Node's API has a row with a state and a reason or a name of this package, and each
// name of this package in a row exists.
func TestNodeAPITable(t *testing.T) {
	text, err := os.ReadFile("../docs/socketio.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	ours := exportedNames(t)
	for _, m := range tableRow.FindAllStringSubmatch(string(text), -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("%s has two rows", m[1])
		}
		rows[m[1]] = m[2]
		named := goName.FindAllStringSubmatch(m[3], -1)
		for _, name := range named {
			if _, isMessage := strings.CutPrefix(name[1], "Config."); !isMessage && !ours[name[1]] {
				t.Errorf("%s: this package has no %s", m[1], name[1])
			}
		}
		if m[2] == "there" && len(named) == 0 {
			t.Errorf("%s is there under no name", m[1])
		}
	}
	known := map[string]bool{}
	for _, d := range typings {
		for _, member := range tsMembers(t, d.file, d.declaration) {
			name := d.name + "." + member
			known[name] = true
			if rows[name] == "" {
				t.Errorf("%s of %s has no row", name, d.file)
			}
		}
	}
	for name := range rows {
		if class, _, ok := strings.Cut(name, "."); ok && slices.ContainsFunc(typings, func(d struct{ file, declaration, name string }) bool { return d.name == class }) && !known[name] {
			t.Errorf("%s is in no typings", name)
		}
	}
	if len(known) < 100 {
		t.Errorf("%d names were found", len(known))
	}
}
