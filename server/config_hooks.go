// The part of the configuration that is about hooks: what it asks for, and what it may be.

package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/hooks"
)

// Values of Config.HookFail.
const (
	HookFailClosed = "closed" // what the backend does not decide about is refused
	HookFailOpen   = "open"   // it is allowed
)

const (
	// hookConcurrencyMax bounds Config.HookConcurrency: each request is a connection to the backend.
	hookConcurrencyMax = 4096

	hookTimeoutDefault     = time.Second
	hookConcurrencyDefault = 64

	// hookTimeoutMax bounds Config.HookTimeout; a request that waits for it has less time.
	hookTimeoutMax = 30 * time.Second

	// hookHeadersMax bounds Config.HookHeaders, so that a request to the backend stays small.
	hookHeadersMax = 32
)

// hookURLs are the fields of hooks with their URLs.
func (c *Config) hookURLs() []struct{ field, url string } {
	return []struct{ field, url string }{
		{"HookConnect", c.HookConnect}, {"HookSubscribe", c.HookSubscribe}, {"HookPublish", c.HookPublish}, {"HookEvents", c.HookEvents},
	}
}

// hasHooks tells whether there is any hook.
func (c *Config) hasHooks() bool {
	return c.HookConnect != "" || c.HookSubscribe != "" || c.HookPublish != "" || c.HookEvents != ""
}

func (c *Config) validateHooks(v *validator) {
	for _, hook := range c.hookURLs() {
		if hook.url == "" {
			continue
		}
		u, err := url.Parse(hook.url)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
			v.refuse(hook.field, strconv.Quote(redactedHook(hook.url)), "allowed is an http or https URL, such as http://127.0.0.1:8000/hook")
		}
	}
	if c.HookTimeout < timeoutMin || c.HookTimeout > hookTimeoutMax {
		v.refuse("HookTimeout", c.HookTimeout.String(), fmt.Sprintf("allowed are %v to %v", timeoutMin, hookTimeoutMax))
	}
	v.between("HookConcurrency", c.HookConcurrency, 1, hookConcurrencyMax, " requests")
	if c.hasHooks() && c.Workers > c.HookConcurrency {
		v.refuse("HookConcurrency", strconv.Itoa(c.HookConcurrency), fmt.Sprintf("each of the %d workers needs one", c.Workers))
	}
	v.oneOf("HookFail", c.HookFail, HookFailClosed, HookFailOpen)
	if len(c.HookHeaders) > hookHeadersMax {
		v.refuse("HookHeaders", fmt.Sprintf("%d names", len(c.HookHeaders)), fmt.Sprintf("allowed are %d", hookHeadersMax))
	}
	for _, name := range c.HookHeaders {
		if !edge.ValidField(name, "") {
			v.refuse("HookHeaders", strconv.Quote(name), "allowed is the name of a header field, such as Cookie")
		}
	}
}

// redactedHook is a URL as it may be shown: its password and query may be secrets.
func redactedHook(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "not a URL"
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return u.Redacted()
}

// CheckKeys reads the files of keys and secrets, as a start would, and says what is wrong with
// them. Any goroutine; reads files.
func (c *Config) CheckKeys() error {
	_, err := c.readHookSecret()
	errs := []error{err}
	for _, path := range c.TokenKeys {
		if err := auth.CheckKeyFile(path); err != nil {
			errs = append(errs, &FieldError{Field: "TokenKeys", Given: strconv.Quote(path), Allowed: err.Error()})
		}
	}
	return errors.Join(errs...)
}

// readHookSecret reads the secret that requests to the backend are signed with; nil without a file.
// White space at the end is not part of it: editors put a line break there.
func (c *Config) readHookSecret() ([]byte, error) {
	if c.HookSecretFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(c.HookSecretFile)
	if err != nil {
		return nil, &SettingError{"HookSecretFile", fmt.Errorf("read the secret of the hooks: %w", err)}
	}
	secret := bytes.TrimRight(content, " \t\r\n")
	if len(secret) == 0 || len(secret) > hooks.SecretBytesMax {
		return nil, &FieldError{Field: "HookSecretFile", Given: strconv.Quote(c.HookSecretFile),
			Allowed: fmt.Sprintf("its secret has %d bytes; allowed are 1 to %d", len(secret), hooks.SecretBytesMax)}
	}
	return secret, nil
}

// hookConcurrency is this process's part of Config.HookConcurrency, where count processes share it.
func hookConcurrency(all, number, count int) int {
	n := all / count
	if number < all%count {
		n++
	}
	return n
}

// hookHeaders are the names of Config.HookHeaders, each once.
func (c *Config) hookHeaders() (names []string) {
	for _, name := range c.HookHeaders {
		if !slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(name, other) }) {
			names = append(names, name)
		}
	}
	return names
}
