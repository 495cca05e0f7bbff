// Keys of session tickets: made and rotated here, or read from a file that nodes share.

package certs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// TicketKey seals session tickets. It is a secret: who has it can read the tickets of TLS 1.2, and
// with them what was said.
type TicketKey = [32]byte

// ring is the keys that this node has made, the newest first.
type ring struct {
	keys []TicketKey
	made []time.Time
}

// rotate adds a key when the newest has sealed for long enough, and drops those that are too old.
// It tells whether anything changed.
func (r *ring) rotate(now time.Time) bool {
	changed := false
	for n := len(r.keys); n > 0 && now.Sub(r.made[n-1]) >= ticketLifetime; n-- {
		r.keys, r.made = r.keys[:n-1], r.made[:n-1]
		changed = true
	}
	if len(r.keys) > 0 && now.Sub(r.made[0]) < ticketRotation {
		return changed
	}
	var key TicketKey
	_, _ = rand.Read(key[:]) // never fails
	r.keys = append([]TicketKey{key}, r.keys...)
	r.made = append([]time.Time{now}, r.made...)
	if len(r.keys) > ticketKeysMax {
		r.keys, r.made = r.keys[:ticketKeysMax], r.made[:ticketKeysMax]
	}
	return true
}

// ParseTicketKeys reads keys of session tickets: one on each line, 64 hexadecimal digits (32
// bytes). The first seals new tickets; all open old ones. Empty lines and those that begin with #
// do not count. The error names the line, and never what is on it.
func ParseTicketKeys(text []byte) ([]TicketKey, error) {
	var keys []TicketKey
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var key TicketKey
		if len(line) != hex.EncodedLen(len(key)) {
			return nil, fmt.Errorf("line %d has %d characters; a key is 64 hexadecimal digits, as openssl rand -hex 32 prints them", number, len(line))
		}
		if _, err := hex.Decode(key[:], []byte(line)); err != nil {
			return nil, fmt.Errorf("line %d is not hexadecimal; a key is 64 hexadecimal digits, as openssl rand -hex 32 prints them", number)
		}
		for _, other := range keys {
			if other == key {
				return nil, fmt.Errorf("line %d has the key of an earlier line", number)
			}
		}
		if keys = append(keys, key); len(keys) > ticketKeysMax {
			return nil, fmt.Errorf("more than %d keys", ticketKeysMax)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the file holds no key")
	}
	return keys, nil
}

// ReadTicketKeys reads a file of keys. The error names the file.
func ReadTicketKeys(path string) ([]TicketKey, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := ParseTicketKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// readableByOthers tells whether everybody on the machine may read a file of secrets.
func readableByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0
}
