// Params: the parameters of a raw query, in the form encoding of the URL standard, decoded
// strictly.

package edge

import "bytes"

// Params iterates over the parameters of a raw query. The zero value is an empty query.
type Params struct {
	rest  []byte
	count int
}

// NewParams iterates over raw, the part of the target behind the question mark, and keeps it.
func NewParams(raw []byte) Params { return Params{rest: raw} }

// Next is the next parameter, decoded; ok is false after the last one, and if the query is refused.
// name and value are slices of the query, or newly allocated if they contain a percent sign or a
// plus.
func (q *Params) Next() (name, value []byte, ok bool, refusal *Refusal) {
	for len(q.rest) > 0 {
		var pair []byte
		pair, q.rest, _ = bytes.Cut(q.rest, []byte{'&'})
		if len(pair) == 0 {
			continue
		}
		if q.count++; q.count > QueryParamsMax {
			return nil, nil, false, tooManyParams
		}
		name, value, _ = bytes.Cut(pair, []byte{'='})
		name, nameOK := unescape(name)
		value, valueOK := unescape(value)
		if !nameOK || !valueOK {
			return nil, nil, false, badQuery
		}
		return name, value, true, nil
	}
	return nil, nil, false, nil
}

// QueryValues appends the values of all parameters of that name to dst, in their order. It refuses
// a query with a malformed parameter of any name. Any goroutine.
func QueryValues(dst []string, raw []byte, name string) ([]string, *Refusal) {
	for q := NewParams(raw); ; {
		key, value, ok, refusal := q.Next()
		if refusal != nil {
			return dst, refusal
		}
		if !ok {
			return dst, nil
		}
		if string(key) == name {
			dst = append(dst, string(value))
		}
	}
}

// PathUnescape decodes a path or a segment of one. It is p itself if there is nothing to decode.
func PathUnescape(p []byte) (decoded []byte, ok bool) { return decode(p, false) }

// unescape decodes one name or value of a form: a plus stands for a space.
func unescape(p []byte) (decoded []byte, ok bool) { return decode(p, true) }

func decode(p []byte, plus bool) (decoded []byte, ok bool) {
	if bytes.IndexByte(p, '%') < 0 && (!plus || bytes.IndexByte(p, '+') < 0) {
		return p, true
	}
	decoded = make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		b := p[i]
		switch {
		case b == '+' && plus:
			b = ' '
		case b == '%':
			// RFC 3986, 2.1: a percent sign and two hexadecimal digits.
			if i+2 >= len(p) || unhex(p[i+1]) < 0 || unhex(p[i+2]) < 0 {
				return nil, false
			}
			b = byte(unhex(p[i+1])<<4 | unhex(p[i+2]))
			i += 2
		}
		decoded = append(decoded, b)
	}
	return decoded, true
}
