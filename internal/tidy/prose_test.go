// The form of the prose: sizes of documents, width of lines, words that readers must guess at.

package tidy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// sizes are the most bytes of documents that have one purpose each.
var sizes = map[string]int{
	"README.md":       8 << 10,
	"ARCHITECTURE.md": 16 << 10,
	"tuning.md":       20 << 10,
}

func TestDocumentsAreShort(t *testing.T) {
	for name, most := range sizes {
		if n := len(document(t, name)); n > most {
			t.Errorf("%s has %d bytes; the most is %d: what belongs in a document of its own?", name, n, most)
		}
	}
}

// resultBytesMax bounds bench/results: the newest run of each kind, as Markdown and JSON.
const resultBytesMax = 1 << 20

func TestResultsAreFew(t *testing.T) {
	// What a run has just written is not part of the module: git tells.
	list, err := exec.Command("git", "-C", root, "ls-files", "bench/results").Output()
	if err != nil {
		t.Skip("not a git repository: ", err)
	}
	sum := 0
	for name := range strings.FieldsSeq(string(list)) {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			continue // deleted, and not yet committed
		}
		sum += int(info.Size())
		if ext := filepath.Ext(name); ext != ".md" && ext != ".json" {
			t.Errorf("%s: results are kept as Markdown and JSON", name)
		}
	}
	if sum > resultBytesMax {
		t.Errorf("bench/results has %d bytes; the most is %d: keep the newest run of each kind", sum, resultBytesMax)
	}
}

// widthMax is the most characters of a line of a comment or a document.
const widthMax = 100

// wide tells whether a line is too long and could be broken: a table row and a word without a space
// cannot.
func wide(line string) bool {
	if utf8.RuneCountInString(line) <= widthMax {
		return false
	}
	text := strings.TrimLeft(line, " \t/>-*")
	return !strings.HasPrefix(text, "|") && strings.Contains(link.ReplaceAllString(text, "]()"), " ")
}

func TestDocumentsAreNarrow(t *testing.T) {
	for _, name := range documents(t) {
		for i, line := range strings.Split(document(t, name), "\n") {
			if wide(line) {
				t.Errorf("%s:%d is wider than %d characters", name, i+1, widthMax)
			}
		}
	}
}

// TestCommentsAreNarrow looks at comments on lines of their own. A directive cannot be broken.
func TestCommentsAreNarrow(t *testing.T) {
	theModule(t).each(func(f *file) {
		for i, line := range bytes.Split(f.src, []byte("\n")) {
			text := strings.TrimLeft(string(line), "\t")
			indent := len(line) - len(text)
			if !strings.HasPrefix(text, "// ") {
				continue
			}
			// A tab is counted as one character.
			if wide(strings.Repeat(" ", indent) + text) {
				t.Errorf("%s:%d: the comment is wider than %d characters", f.path, i+1, widthMax)
			}
		}
	})
}

// guessed are phrases that readers have to guess at; each has a plain word in place of it. They are
// looked for in documents and in comments.
var guessed = []string{
	"is not to be had", "are not to be had", "who comes alone", "what is owed", "that is its business",
	"nobody's", "belongings", "rarities", "out of its mind", "how well it is", "lets go gently",
	"hasty", "doze",
}

var guessedWords = regexp.MustCompile(`(?i)\b(` + strings.Join(guessed, "|") + `)\b`)

func TestProseIsPlain(t *testing.T) {
	for _, name := range documents(t) {
		for i, line := range strings.Split(document(t, name), "\n") {
			if found := guessedWords.FindString(line); found != "" {
				t.Errorf("%s:%d says %q; say what it is", name, i+1, found)
			}
		}
	}
	theModule(t).each(func(f *file) {
		if f.path == "internal/tidy/prose_test.go" {
			return // the list itself
		}
		for _, group := range f.ast.Comments {
			for _, comment := range group.List {
				if found := guessedWords.FindString(comment.Text); found != "" {
					t.Errorf("%s says %q; say what it is", theModule(t).fset.Position(comment.Pos()), found)
				}
			}
		}
	})
}

// echoFilesMax is how many files a message may pass on its way from the wait to the write.
const echoFilesMax = 10

var (
	echoList = regexp.MustCompile(`(?s)<!-- echo -->\n(.*?)<!-- end -->`)
	echoFile = regexp.MustCompile("(?m)^[0-9]+\\. `([a-z_/]+\\.go)`")
)

// TestEchoPassesFewFiles: ARCHITECTURE.md lists the files of an echo; they exist, and are few.
func TestEchoPassesFewFiles(t *testing.T) {
	list := echoList.FindStringSubmatch(document(t, "ARCHITECTURE.md"))
	if list == nil {
		t.Fatal("ARCHITECTURE.md does not list the files of an echo")
	}
	var paths []string
	theModule(t).each(func(f *file) { paths = append(paths, f.path) })
	files := echoFile.FindAllStringSubmatch(list[1], -1)
	if len(files) < 6 || len(files) > echoFilesMax {
		t.Errorf("ARCHITECTURE.md: an echo passes %d files; the most is %d", len(files), echoFilesMax)
	}
	for _, match := range files {
		if !slices.Contains(paths, match[1]) {
			t.Errorf("ARCHITECTURE.md: there is no %s", match[1])
		}
	}
}
