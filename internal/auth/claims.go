// The claims of a token: read by the names of RFC 7519, each at most once.

package auth

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"c100k/internal/jsontext"
)

// claims are those that a node looks at. encoding/json would match their names in any case and take
// the last of two with one name, and another reader the first: so they are read here, and a name
// that occurs twice is refused.
type claims struct {
	issuer   string
	audience []string
	id       Identity
	before   time.Time // nbf; zero if there is none
}

// read reads them; p is overwritten.
func (c *claims) read(p []byte) error {
	*c = claims{}
	if !utf8.Valid(p) {
		return errors.New("they are not UTF-8")
	}
	return eachMember(p, func(name string, value []byte) (err error) {
		switch name {
		case "iss":
			c.issuer, err = textOf(value)
		case "sub":
			c.id.Subject, err = textOf(value)
		case "jti":
			c.id.ID, err = textOf(value)
		case "aud":
			if len(value) > 0 && value[0] == '"' {
				c.audience = make([]string, 1)
				c.audience[0], err = textOf(value)
			} else {
				c.audience, err = textsOf(value)
			}
		case "exp":
			c.id.Expires, err = instantOf(value)
		case "nbf":
			c.before, err = instantOf(value)
		case "iat":
			c.id.IssuedAt, err = instantOf(value)
		case "c100k":
			err = c.id.read(value)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return err
	})
}

// read reads the claim c100k. An unknown member is refused: one that was meant to deny something
// must not be lost by a slip of the pen.
func (id *Identity) read(p []byte) error {
	if string(p) == "null" {
		return nil
	}
	return eachMember(p, func(name string, value []byte) (err error) {
		switch name {
		case "subscribe":
			id.Subscribe, err = textsOf(value)
		case "publish":
			id.Publish, err = textsOf(value)
		case "history":
			id.History, err = textsOf(value)
		case "presence":
			id.Presence, err = textsOf(value)
		case "deny":
			id.Deny, err = textsOf(value)
		case "join":
			id.Join, err = textsOf(value)
		case "info":
			id.Info = append([]byte(nil), value...)
		default:
			return fmt.Errorf("unknown member %.64q", name)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return err
	})
}

// eachMember calls f with the members of the object p, in their order. Names are decoded in place.
func eachMember(p []byte, f func(name string, value []byte) error) error {
	i := jsontext.SkipSpace(p, 0)
	if i == len(p) || p[i] != '{' {
		return errors.New("an object is expected")
	}
	if i = jsontext.SkipSpace(p, i+1); i < len(p) && p[i] == '}' {
		return nothingBehind(p, i+1)
	}
	var room [16]string // as many as most objects have
	seen := room[:0]
	for last := false; !last; {
		from, to, next, bad := jsontext.SkipName(p, i)
		if bad != "" {
			return errors.New(string(bad))
		}
		if i, bad = jsontext.SkipValue(p, next, 1); bad != "" {
			return errors.New(string(bad))
		}
		raw, bad := jsontext.Unescape(p[from:to])
		if bad != "" {
			return errors.New(string(bad))
		}
		name := string(raw)
		for _, other := range seen {
			if other == name {
				return fmt.Errorf("%.64q stands there twice", name)
			}
		}
		if seen = append(seen, name); len(seen) > claimsMax {
			return fmt.Errorf("more than %d members", claimsMax)
		}
		if err := f(name, p[next:i:i]); err != nil {
			return err
		}
		if i, last, bad = jsontext.SkipComma(p, i, '}'); bad != "" {
			return errors.New(string(bad))
		}
	}
	return nothingBehind(p, i)
}

// nothingBehind refuses what follows an object that ends at p[i].
func nothingBehind(p []byte, i int) error {
	if jsontext.SkipSpace(p, i) != len(p) {
		return errors.New(string(jsontext.FaultTrailing))
	}
	return nil
}

// textOf reads a string.
func textOf(p []byte) (string, error) {
	if len(p) == 0 || p[0] != '"' {
		return "", errors.New("a string is expected")
	}
	text, bad := jsontext.Unescape(p[1 : len(p)-1])
	if bad != "" {
		return "", errors.New(string(bad))
	}
	return string(text), nil
}

// textsOf reads an array of at most PatternsMax strings; p is a JSON value.
func textsOf(p []byte) (list []string, err error) {
	if string(p) == "null" {
		return nil, nil // what some write for an empty list
	}
	if len(p) == 0 || p[0] != '[' {
		return nil, errors.New("an array of strings is expected")
	}
	i := jsontext.SkipSpace(p, 1)
	if p[i] == ']' {
		return nil, nil
	}
	for last := false; !last; {
		i = jsontext.SkipSpace(p, i)
		end, _ := jsontext.SkipValue(p, i, 1)
		text, err := textOf(p[i:end])
		if err != nil {
			return nil, fmt.Errorf("an array of strings is expected: %w", err)
		}
		if len(list) == PatternsMax {
			return nil, fmt.Errorf("more than %d elements", PatternsMax)
		}
		list = append(list, text)
		i, last, _ = jsontext.SkipComma(p, end, ']')
	}
	return list, nil
}

// instantOf reads a NumericDate (RFC 7519, 2), in whole seconds.
func instantOf(p []byte) (time.Time, error) {
	if len(p) == 0 || p[0] != '-' && (p[0] < '0' || p[0] > '9') {
		return time.Time{}, errors.New("a number is expected")
	}
	seconds, err := strconv.ParseFloat(string(p), 64)
	if err != nil || seconds < 0 || seconds > instantMax {
		return time.Time{}, errors.New("it is not between the years 1970 and 9999")
	}
	return time.Unix(int64(seconds), 0), nil
}

// ParseClaims is what the claims of a token say of a client, without any check of the token. The
// error says what of them is not valid.
func ParseClaims(p []byte) (*Identity, error) {
	c := new(claims)
	if err := c.read(append([]byte(nil), p...)); err != nil {
		return nil, &TokenError{Reason: "the token's claims are not valid: " + err.Error()}
	}
	return &c.id, nil
}
