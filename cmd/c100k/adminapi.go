// A node's admin API as the commands that ask it use it.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"c100k/internal/settings"
)

// The bounds of a request to the admin API.
const (
	// askTimeout bounds one request, but for streams.
	askTimeout = 30 * time.Second
	// documentBytesMax bounds an answer that is a document: a page of 1,000 connections, or the
	// figures of 256 loops. Anything else at that address may send for ever.
	documentBytesMax = 16 << 20
)

// adminAPI is the API of the node at --admin-url.
type adminAPI struct {
	http http.Client
	base string // without a slash at the end
	key  string // empty: none
}

// newAdminAPI makes it of the settings of a command.
func newAdminAPI(c call) (*adminAPI, error) {
	if err := c.Explain(c.Options.Node.Validate()); err != nil {
		return nil, misconfigured(err)
	}
	base, err := url.Parse(c.Options.AdminURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		err = fmt.Errorf("%q is refused; allowed is a URL such as http://127.0.0.1:9100", c.Options.AdminURL)
		return nil, misconfigured(&settings.Problem{Source: c.Source("admin-url"), Err: err})
	}
	secure, err := c.Options.Trust.Config("")
	if err != nil {
		return nil, usage("%v", err)
	}
	a := &adminAPI{base: strings.TrimRight(c.Options.AdminURL, "/")}
	a.http.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure}
	if a.key, err = c.Options.Node.ReadAPIKey(); err != nil {
		return nil, c.Explain(err)
	}
	return a, nil
}

// get asks for a path. A status that is no success is an error, in the words of the node.
func (a *adminAPI) get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	if a.key != "" {
		request.Header.Set("Authorization", "Bearer "+a.key)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return nil, unreachable(a.base, "--admin-url", err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", a.base, err)
	}
	return nil, &statusError{response.StatusCode, refusal(response.StatusCode, response.Header.Get("Content-Type"), body)}
}

// statusError is an answer that is an error.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }

// document asks for a JSON document, reads it into out, and returns its text.
func (a *adminAPI) document(ctx context.Context, path string, out any) (text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	response, err := a.get(ctx, path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, documentBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", a.base, err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("%s did not answer as a node does: is it the admin port?", a.base)
	}
	return text, nil
}
