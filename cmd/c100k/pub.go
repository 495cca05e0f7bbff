// `c100k pub`: publishes to a topic through a node's admin port.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"c100k/internal/settings"
)

const (
	// payloadBytesMax bounds what pub reads from standard input: the largest message a node can be
	// configured to take.
	payloadBytesMax = 1 << 30
	// answerBytesMax bounds what is read of a node's answer: it has a few hundred bytes, and anything
	// else at that address may send for ever.
	answerBytesMax = 64 << 10
	// publishTimeout bounds one publish. A node answers before it has delivered.
	publishTimeout = 30 * time.Second
)

func (a *app) pub() *cobra.Command {
	return a.command(verb{
		path: "pub", use: "pub TOPIC [DATA]", short: "Publishes to a topic, through the admin port of a node",
		long: "Without DATA, or with -, the message is read from standard input, up to its end. Prints how many\nsubscribers matched.",
		examples: []string{
			"c100k pub news 'hello, all'",
			"c100k pub --json prices '{\"eur\":1.08}'",
			"c100k pub --binary images < cat.png",
			"c100k pub news tick --repeat 0 --rate 10/s       # until Ctrl-C",
			"C100K_API_KEY=... c100k pub --admin-url http://node7:9100 news hello",
		},
		args: arguments(1, 2, "a TOPIC and DATA"),
		run: func(ctx context.Context, c call) error {
			p, err := a.newPublisher(c)
			if err != nil {
				return err
			}
			return p.run(ctx)
		},
	})
}

// publisher sends one payload, once or many times.
type publisher struct {
	*app
	options *settings.Options
	client  http.Client
	url     string
	key     string
	kind    string // media type
	payload []byte

	sent  int // publishes so far
	total answer
}

// answer is what a node says to a publish.
type answer struct {
	Matched int `json:"matched"`
	Queued  int `json:"queued"`
	Dropped int `json:"dropped"`
}

func (a *app) newPublisher(c call) (*publisher, error) {
	api, err := newAdminAPI(c)
	if err != nil {
		return nil, err
	}
	p := &publisher{app: a, options: c.Options, client: http.Client{Timeout: publishTimeout, Transport: api.http.Transport}}
	p.url, p.key = api.base+"/v1/topics/"+pathSegment(c.args[0]), api.key
	if p.payload, err = a.payload(c.args[1:]); err != nil {
		return nil, err
	}
	p.kind, err = mediaType(&c.Options.Pub, p.payload)
	return p, err
}

// pathSegment escapes a topic for a URL's path; "." and ".." would otherwise be taken for
// directories.
func pathSegment(topic string) string {
	if topic == "." || topic == ".." {
		return strings.ReplaceAll(topic, ".", "%2E")
	}
	return url.PathEscape(topic)
}

func (a *app) payload(args []string) ([]byte, error) {
	if len(args) == 1 && args[0] != "-" {
		return []byte(args[0]), nil
	}
	if a.terminal(a.stdin) {
		fmt.Fprintln(a.stderr, "c100k: reading from the terminal; Ctrl-D ends it")
	}
	payload, err := io.ReadAll(io.LimitReader(a.stdin, payloadBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(payload) > payloadBytesMax {
		return nil, fmt.Errorf("standard input has more than %d bytes, the most a node takes", payloadBytesMax)
	}
	return payload, nil
}

func mediaType(o *settings.PubOptions, payload []byte) (string, error) {
	chosen := 0
	for _, on := range []bool{o.JSON, o.Text, o.Binary} {
		if on {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return "", usage("--json, --text and --binary exclude each other")
	case o.JSON && !json.Valid(payload):
		return "", usage("--json: the data is not valid JSON; a text needs quotes of its own: '\"hello\"'")
	case o.JSON:
		return "application/json", nil
	case o.Text && !utf8.Valid(payload):
		return "", usage("--text: the data is not valid UTF-8")
	case o.Binary || !utf8.Valid(payload):
		return "application/octet-stream", nil
	}
	return "text/plain; charset=utf-8", nil
}

// run publishes as often as it was asked to, at the pace it was asked for. An interrupt ends it in
// good order.
func (p *publisher) run(ctx context.Context) error {
	ctx, stop := p.interruptible(ctx)
	defer stop()
	start := time.Now()
	for p.options.Pub.Repeat == 0 || p.sent < p.options.Pub.Repeat {
		if err := p.wait(ctx, start); err != nil {
			break
		}
		err := p.publish(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		p.sent++
	}
	return p.report()
}

// wait keeps to the schedule: message n is due n/rate after the start, however long the ones before
// took.
func (p *publisher) wait(ctx context.Context, start time.Time) error {
	if rate := p.options.Pub.Rate; rate > 0 && p.sent > 0 {
		due := start.Add(time.Duration(float64(p.sent) / rate * float64(time.Second)))
		if left := time.Until(due); left > 0 {
			return p.pause(ctx, left)
		}
	}
	return ctx.Err()
}

func (p *publisher) publish(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.payload))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", p.kind)
	if p.key != "" {
		request.Header.Set("Authorization", "Bearer "+p.key)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return unreachable(p.options.AdminURL, "--admin-url", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", p.options.AdminURL, err)
	}
	if response.StatusCode != http.StatusOK {
		return refusal(response.StatusCode, response.Header.Get("Content-Type"), body)
	}
	var got answer
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("%s did not answer as a node does: is it the admin port?", p.options.AdminURL)
	}
	p.total.Matched += got.Matched
	p.total.Queued += got.Queued
	p.total.Dropped += got.Dropped
	return nil
}

func (p *publisher) report() error {
	text := fmt.Sprintf("matched %d", p.total.Matched)
	if p.total.Queued != p.total.Matched || p.total.Dropped > 0 {
		text += fmt.Sprintf(", queued %d, dropped %d", p.total.Queued, p.total.Dropped)
	}
	if p.options.Pub.Repeat != 1 {
		text = fmt.Sprintf("published %d, ", p.sent) + text
	}
	_, err := fmt.Fprintln(p.stdout, text)
	return err
}

// unreachable words the failure of a request that got no answer.
func unreachable(address, flag string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the address is named already
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nobody listens at %s: is c100k serve running, and %s right?", address, flag)
	}
	return fmt.Errorf("cannot reach %s: %w", address, err)
}

// refusal words an answer that is an error: a problem document (RFC 9457), or whatever else a
// server says.
func refusal(status int, mediaType string, body []byte) error {
	var problem struct{ Title, Detail string }
	if strings.HasPrefix(mediaType, "application/problem+json") && json.Unmarshal(body, &problem) == nil && problem.Title != "" {
		if problem.Detail != "" {
			return fmt.Errorf("%s: %s (HTTP %d)", visible(problem.Title), visible(problem.Detail), status)
		}
		return fmt.Errorf("%s (HTTP %d)", visible(problem.Title), status)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if first == "" || !utf8.ValidString(first) || len(first) > 200 || strings.HasPrefix(first, "<") {
		return fmt.Errorf("the server answers HTTP %d %s", status, http.StatusText(status))
	}
	return fmt.Errorf("%s (HTTP %d)", visible(first), status)
}
