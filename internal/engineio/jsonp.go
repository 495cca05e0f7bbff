// JSONP: payloads as scripts, and as fields of forms, for browsers of before 2012. Only with
// protocol 3 allowed. Pure; any goroutine.

package engineio

import (
	"bytes"
	"strconv"

	"c100k/internal/edge"
	"c100k/internal/jsontext"
)

// jsonpIndexDigitsMax bounds the index of a callback: clients count from 0.
const jsonpIndexDigitsMax = 9

// jsonpIndex reads the callback's index from the query; ok is false if it is none. Nothing but
// digits may become part of a script.
func jsonpIndex(p []byte) (index uint32, ok bool) {
	if len(p) == 0 || len(p) > jsonpIndexDigitsMax {
		return 0, false
	}
	for _, b := range p {
		if b < '0' || b > '9' {
			return 0, false
		}
		index = index*10 + uint32(b-'0')
	}
	return index, true
}

// appendScript appends the script that hands payload to a callback.
func appendScript(dst []byte, index uint32, payload []byte) []byte {
	dst = strconv.AppendUint(append(dst, "___eio["...), uint64(index), 10)
	return append(appendScriptString(append(dst, "]("...), payload), ");"...)
}

// appendScriptString appends p as a string literal of JavaScript. U+2028 and U+2029 end a line
// there, in JSON they do not.
func appendScriptString(dst, p []byte) []byte {
	at := len(dst)
	dst = jsontext.AppendString(dst, p)
	if !bytes.Contains(dst[at:], []byte("\xe2\x80\xa8")) && !bytes.Contains(dst[at:], []byte("\xe2\x80\xa9")) {
		return dst
	}
	literal := bytes.ReplaceAll(dst[at:], []byte("\xe2\x80\xa8"), []byte(`\u2028`))
	return append(dst[:at], bytes.ReplaceAll(literal, []byte("\xe2\x80\xa9"), []byte(`\u2029`))...)
}

// formPayload takes the payload out of a form: the field d. Browsers turn line ends of a form into
// CRLF, so clients write LF as the two characters \n, and those two as \\n. It may change form.
func formPayload(form []byte) (payload []byte, ok bool) {
	for q := edge.NewParams(form); ; {
		name, value, more, refusal := q.Next()
		switch {
		case refusal != nil || !more:
			return nil, false
		case string(name) == "d":
			return unescapeLines(value), true
		}
	}
}

// unescapeLines undoes what clients do to line ends. It changes p.
func unescapeLines(p []byte) []byte {
	to := 0
	for i := 0; i < len(p); i++ {
		switch {
		case bytes.HasPrefix(p[i:], []byte(`\\n`)):
			p[to], p[to+1] = '\\', 'n'
			to += 2
			i += 2
			continue
		case bytes.HasPrefix(p[i:], []byte(`\n`)):
			p[to] = '\n'
			i++
		default:
			p[to] = p[i]
		}
		to++
	}
	return p[:to]
}
