// The HTTP client of the other side of a link.

package workers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"c100k/internal/admin"
)

// client asks the other side of a link. Any goroutine.
type client struct{ http *http.Client }

func newClient(link *Link) *client {
	return &client{&http.Client{Transport: &http.Transport{
		DialContext:     link.DialContext,
		MaxConnsPerHost: linkConnsMax, MaxIdleConnsPerHost: linkConnsMax, IdleConnTimeout: admin.IdleTimeout / 2,
		DisableCompression:    true,
		ExpectContinueTimeout: continueTimeout,
	}}}
}

// close closes idle connections.
func (c *client) close() { c.http.CloseIdleConnections() }

// problem is an answer with an error status, and its text.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

// do sends a document, nil for none, and reads the answer into out; nil if only the status matters.
// An error status is returned as a *problem.
func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	var sent io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	// The host is a name of loopback, because the other side checks the Host header.
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, sent)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return problemOf(response)
	}
	if out == nil {
		return nil
	}
	body := io.LimitReader(response.Body, documentBytesMax)
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, body) // read to the end, so that the connection can be reused
	return nil
}

func problemOf(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, documentBytesMax))
	if err != nil {
		return err
	}
	var told admin.Problem
	if json.Unmarshal(text, &told) == nil && told.Detail != "" {
		return &problem{response.StatusCode, told.Detail}
	}
	return &problem{response.StatusCode, fmt.Sprintf("%s: %s", response.Status, strings.TrimSpace(string(text)))}
}
