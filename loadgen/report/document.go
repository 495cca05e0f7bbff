// The JSON document of a run.

package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"c100k/internal/version"
	"c100k/loadgen"
)

// Format and Version name the document. A reader of version 1 can read every document of version 1:
// fields are added, never changed.
const (
	Format  = "c100k-load"
	Version = 1
)

// documentBytesMax bounds a document that is read: a day of seconds has some 50 MB.
const documentBytesMax = 256 << 20

// Document is a result with everything that it depends on.
type Document struct {
	Format    string          `json:"format"`
	Version   int             `json:"version"`
	Created   time.Time       `json:"created"`
	Program   version.Info    `json:"program"`   // that made it
	Machine   loadgen.Machine `json:"machine"`   // that the generator ran on
	Arguments []string        `json:"arguments"` // command line, without the values of header lines
	Result    *loadgen.Result `json:"result"`
}

// New makes the document of a result that this program has just made.
func New(r *loadgen.Result, arguments []string) *Document {
	return &Document{Format: Format, Version: Version, Created: time.Now().UTC().Truncate(time.Second), Program: version.Get(),
		Machine: loadgen.ThisMachine(), Arguments: withoutSecrets(arguments), Result: r}
}

// withoutSecrets takes the values of header lines out of a command line: they are mostly keys.
func withoutSecrets(arguments []string) []string {
	kept := make([]string, 0, len(arguments))
	secret := false
	for _, argument := range arguments {
		name, value, joined := strings.Cut(argument, "=")
		switch {
		case secret:
			argument = headerName(argument)
			secret = false
		case name == "--header" || name == "--publish-header":
			if secret = !joined; joined {
				argument = name + "=" + headerName(value)
			}
		}
		kept = append(kept, argument)
	}
	return kept
}

func headerName(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return name + ": ***"
}

// WriteJSON writes the document, indented.
func (d *Document) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	return out.Encode(d)
}

// Read reads a document from a file.
func Read(path string) (*Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, documentBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > documentBytesMax {
		return nil, fmt.Errorf("%s has more than %d bytes", path, documentBytesMax)
	}
	d, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func parse(text []byte) (*Document, error) {
	var head struct {
		Format  string
		Version int
	}
	if json.Unmarshal(text, &head) != nil || head.Format != Format {
		return nil, fmt.Errorf("is no result of c100k load --json")
	}
	if head.Version != Version {
		return nil, fmt.Errorf("is of version %d; this program reads version %d", head.Version, Version)
	}
	var d Document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	if d.Result == nil {
		return nil, fmt.Errorf("has no result in it")
	}
	return &d, nil
}
