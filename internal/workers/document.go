// Documents over a link: JSON, bounded and strict.

package workers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// readDocument reads one JSON document of bounded size, with no other fields than v has and nothing
// behind it.
func readDocument(r io.Reader, v any) error {
	text, err := io.ReadAll(io.LimitReader(r, documentBytesMax+1))
	if err != nil {
		return err
	}
	if len(text) > documentBytesMax {
		return fmt.Errorf("a document of more than %d bytes", documentBytesMax)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one document")
	}
	return nil
}

// writeDocument answers with one of our own documents.
func writeDocument(rw http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(text) // the error means that the other side has gone
}
