// The documents: what they say of the Makefile and of the turn is so, and their links lead
// somewhere.

package tidy

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):.*## \S`)

// listed are the targets that `make help` lists.
func listed(t *testing.T) (names []string) {
	t.Helper()
	for _, match := range makeTarget.FindAllStringSubmatch(document(t, "Makefile"), -1) {
		names = append(names, match[1])
	}
	return names
}

func TestMakeHelpListsTheTargets(t *testing.T) {
	have := listed(t)
	for _, want := range []string{"run", "build", "test", "race", "fuzz", "bench", "lint"} {
		if !slices.Contains(have, want) {
			t.Errorf("make help does not list %s", want)
		}
	}
}

var (
	fenced      = regexp.MustCompile("(?ms)^```.*?^```")
	makeCommand = regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z0-9-]*)")
	makeInText  = regexp.MustCompile("`make ([a-z][a-z0-9-]*)")
)

// makeCommands are the targets that a document shows: in code blocks, and between backticks.
func makeCommands(text string) (names []string) {
	for _, block := range fenced.FindAllString(text, -1) {
		for _, match := range makeCommand.FindAllStringSubmatch(block, -1) {
			names = append(names, match[1])
		}
	}
	for _, match := range makeInText.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		names = append(names, match[1])
	}
	return names
}

// TestDocumentsNameRealTargets: every make command of the documents is a target, and the two of the
// README are there.
func TestDocumentsNameRealTargets(t *testing.T) {
	have := listed(t)
	for _, name := range documents(t) {
		used := makeCommands(document(t, name))
		for _, target := range used {
			if !slices.Contains(have, target) {
				t.Errorf("%s: the Makefile has no target %s", name, target)
			}
		}
		if name == "README.md" && (!slices.Contains(used, "run") || !slices.Contains(used, "test")) {
			t.Errorf("README.md must show make run and make test")
		}
	}
}

// phase is a line of the list of phases, with the comment signs of code before it.
var phase = regexp.MustCompile(`(?m)^(?:.*//[ \t]?|[ \t]*)([1-9]) ([a-z]+) {2,}\S`)

// TestPhasesAgree: the turn is told in three places, and they tell the same.
func TestPhasesAgree(t *testing.T) {
	want := []string{"wait", "clock", "read", "tasks", "timers", "deliver", "flush", "release", "publish"}
	turn := document(t, "netpoll/turn.go")
	_, turn, found := strings.Cut(turn, "\nfunc (l *Loop) Turn() {\n")
	if !found {
		t.Fatal("netpoll/turn.go has no Loop.Turn")
	}
	turn, _, _ = strings.Cut(turn, "\n}\n")
	for where, text := range map[string]string{
		"Loop.Turn": turn, "netpoll/doc.go": document(t, "netpoll/doc.go"), "ARCHITECTURE.md": document(t, "ARCHITECTURE.md"),
	} {
		var got []string
		for i, match := range phase.FindAllStringSubmatch(text, -1) {
			if match[1] != string(rune('1'+i)) {
				t.Errorf("%s: phase %s has number %s", where, match[2], match[1])
			}
			got = append(got, match[2])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the phases are %v, want %v", where, got, want)
		}
	}
}

// code is a name of the code in a document: one with a dot, or with a capital behind a small
// letter.
var code = regexp.MustCompile("`((?:[a-z]+\\.)?[A-Za-z]+(?:\\.[A-Za-z]+|[a-z][A-Z][A-Za-z]*))`")

// TestArchitectureNamesRealCode: a function that is renamed must be renamed there too.
func TestArchitectureNamesRealCode(t *testing.T) {
	known := map[string]bool{}
	theModule(t).each(func(f *file) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				known[id.Name] = true
			}
			return true
		})
	})
	for _, match := range code.FindAllStringSubmatch(document(t, "ARCHITECTURE.md"), -1) {
		for name := range strings.SplitSeq(match[1], ".") {
			if !known[name] && name != "go" && name != "md" {
				t.Errorf("ARCHITECTURE.md: there is no %s in the code (%s)", match[1], name)
			}
		}
	}
}

// problem is a refusal of the HTTP API, as the code makes it.
var problem = regexp.MustCompile(`(?s)NewProblem\(http\.Status\w+,\s*"([a-z_]+)"`)

var testInText = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
var fileInText = regexp.MustCompile("`((?:internal|netpoll|server|socketio)/[a-z0-9_/.]+)`")

// TestSecurityNamesRealTests: each test and each file that SECURITY.md names as a defence is there.
func TestSecurityNamesRealTests(t *testing.T) {
	tests := map[string]bool{}
	theModule(t).each(func(f *file) {
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && f.test {
				tests[d.Name.Name] = true
			}
		}
	})
	text := document(t, "SECURITY.md")
	names := testInText.FindAllStringSubmatch(text, -1)
	if len(names) < 25 {
		t.Errorf("only %d tests are named", len(names))
	}
	for _, match := range names {
		if !tests[match[1]] {
			t.Errorf("SECURITY.md names %s, which is no test", match[1])
		}
	}
	for _, match := range fileInText.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(root, match[1])); err != nil {
			t.Errorf("SECURITY.md: %v", err)
		}
	}
}

// TestAPIDocumentHasTheErrors: docs/api.md lists the code of every error of the HTTP API.
func TestAPIDocumentHasTheErrors(t *testing.T) {
	text, m := document(t, "docs/api.md"), theModule(t)
	found := 0
	for _, f := range m.code("internal/admin") {
		for _, match := range problem.FindAllSubmatch(f.src, -1) {
			found++
			if !strings.Contains(text, "`"+string(match[1])+"`") {
				t.Errorf("%s answers %s; docs/api.md does not list it", f.path, match[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d errors are found in internal/admin", found)
	}
}

// documents are the Markdown files of the root, of docs and of bench.
func documents(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md", "bench/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.ToSlash(rel))
		}
	}
	return names
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(document(t, name), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			full := path.Join(path.Dir(name), target)
			if target == "" {
				full = name
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(full))); err != nil {
				t.Errorf("%s: there is no %s", name, match[1])
				continue
			}
			if anchor != "" && !hasHeading(document(t, full), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, full, anchor)
			}
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// hasHeading tells whether a Markdown text has a heading whose anchor, as forges make it, is the
// one given.
func hasHeading(text, anchor string) bool {
	for line := range strings.Lines(text) {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		made := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if strings.ReplaceAll(made, " ", "-") == anchor {
			return true
		}
	}
	return false
}
