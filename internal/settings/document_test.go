// docs/config.md: its table of settings is made from the rows of Table.

package settings

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/config.md")

const configDocument = "../../docs/config.md"

// TestConfigDocument: docs/config.md lists every setting of a node, as help does.
func TestConfigDocument(t *testing.T) {
	b, err := os.ReadFile(configDocument)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-update -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(string(b), begin)
	have, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s: no table between %q and %q", configDocument, begin, end)
	}
	want := configTable()
	if *update {
		if err := os.WriteFile(configDocument, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if have != want {
		t.Errorf("docs/config.md does not have the settings of Table: go test ./internal/settings -run TestConfigDocument -update")
	}
}

func configTable() string {
	var b strings.Builder
	b.WriteString("\n| setting | default | |\n|---|---|---|\n")
	rows := Table(defaults())
	for i := range rows {
		s := &rows[i]
		if !s.On("serve") {
			continue
		}
		name := strings.TrimSpace(s.Flag() + " " + s.ArgText())
		help := s.Help
		if s.Unit != "" {
			help += " (" + s.Unit + ")"
		}
		for _, cell := range []string{"`" + name + "`", s.DefaultText(), help} {
			b.WriteString("| " + strings.NewReplacer("|", `\|`, "*", `\*`).Replace(cell) + " ")
		}
		b.WriteString("|\n")
	}
	b.WriteString("\n")
	return b.String()
}
