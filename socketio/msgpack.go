// The parser of npm socket.io-msgpack-parser: a packet is one MessagePack map. It converts from and
// to the form that the other parser has: JSON, with placeholders for binary data. Pure; any
// goroutine.

package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"c100k/internal/jsontext"
	"c100k/internal/sio"

	"github.com/tinylib/msgp/msgp"
)

func init() {
	sio.ReadMsgpack = func(dst []byte, attachments [][]byte, p []byte, max int) ([]byte, [][]byte, []byte, bool) {
		r := msgpackReader{json: dst, attachments: attachments, max: max}
		rest, bad := r.value(p, 0)
		return r.json, r.attachments, rest, bad == ""
	}
	sio.AppendMsgpack = func(dst, text []byte, attachments [][]byte) []byte {
		dst, _ = appendJSON(dst, text, jsontext.SkipSpace(text, 0), attachments)
		return dst
	}
}

// parseMsgpack reads a packet. Its payload and attachments are new slices.
func parseMsgpack(p []byte) (k packet, attachments [][]byte, bad fault) {
	n, p, err := msgp.ReadMapHeaderBytes(p)
	if err != nil {
		return k, nil, faultMsgpack
	}
	kind, hasType := uint64(0), false
	r := msgpackReader{max: AttachmentsMax}
	for range n { // each member takes bytes, so a count that is too high fails at the end of p
		var name []byte
		if name, p, err = msgp.ReadMapKeyZC(p); err != nil {
			return k, nil, faultMsgpack
		}
		switch string(name) {
		case "type":
			kind, p, err = msgp.ReadUint64Bytes(p)
			hasType = true
		case "nsp":
			k.namespace, p, err = msgp.ReadStringZC(p)
		case "id":
			if msgp.IsNil(p) {
				p, err = msgp.ReadNilBytes(p)
				break
			}
			k.id, p, err = msgp.ReadUint64Bytes(p)
			k.hasID = true
		case "data":
			if msgp.IsNil(p) {
				p, err = msgp.ReadNilBytes(p)
				break
			}
			if rest, is := bytes.CutPrefix(p, undefined); is {
				p = rest
				break
			}
			if p, bad = r.value(p, 0); bad != "" {
				return k, nil, bad
			}
		default:
			p, err = msgp.Skip(p)
		}
		if err != nil {
			return k, nil, faultMsgpack
		}
	}
	switch {
	case len(p) > 0 || !hasType || len(k.namespace) == 0 || !utf8.Valid(k.namespace):
		return k, nil, faultMsgpack
	case kind > uint64(typeConnectError):
		return k, nil, faultType
	case len(k.namespace) > NamespaceBytesMax:
		return k, nil, faultNamespace
	}
	k.kind, k.payload, k.attachments = packetType(kind), r.json, len(r.attachments)
	return k, r.attachments, ""
}

// msgpackReader converts MessagePack to JSON.
type msgpackReader struct {
	json        []byte
	attachments [][]byte
	max         int // of attachments; negative: binary values become base64 strings
}

// value reads one value that lies in depth others.
func (r *msgpackReader) value(p []byte, depth int) (rest []byte, bad fault) {
	if len(p) == 0 {
		return nil, faultMsgpack
	}
	var err error
	switch msgp.NextType(p) {
	case msgp.NilType:
		r.json = append(r.json, "null"...)
		p, err = msgp.ReadNilBytes(p)
	case msgp.BoolType:
		var v bool
		v, p, err = msgp.ReadBoolBytes(p)
		r.json = strconv.AppendBool(r.json, v)
	case msgp.IntType:
		var v int64
		v, p, err = msgp.ReadInt64Bytes(p)
		r.json = strconv.AppendInt(r.json, v, 10)
	case msgp.UintType:
		var v uint64
		v, p, err = msgp.ReadUint64Bytes(p)
		r.json = strconv.AppendUint(r.json, v, 10)
	case msgp.Float32Type, msgp.Float64Type:
		var v float64
		v, p, err = msgp.ReadFloat64Bytes(p)
		r.float(v)
	case msgp.StrType:
		p, err = r.text(p)
	case msgp.BinType:
		var v []byte
		if v, p, err = msgp.ReadBytesBytes(p, []byte{}); err != nil {
			return nil, faultMsgpack
		}
		if r.max < 0 {
			r.json = append(base64.StdEncoding.AppendEncode(append(r.json, '"'), v), '"')
			break
		}
		if len(r.attachments) >= r.max {
			return nil, faultTooMany
		}
		r.json = appendPlaceholder(r.json, len(r.attachments))
		r.attachments = append(r.attachments, v)
	case msgp.ArrayType:
		return r.array(p, depth+1)
	case msgp.MapType:
		return r.object(p, depth+1)
	case msgp.TimeType:
		var v time.Time
		v, p, err = msgp.ReadTimeBytes(p)
		r.time(v)
	default:
		return r.extension(p)
	}
	if err != nil {
		return nil, faultMsgpack
	}
	return p, ""
}

// undefined is the value undefined of JavaScript as npm notepack.io 2 writes it, which the client's
// parser uses.
var undefined = []byte{0xd4, 0, 0}

// extension reads what notepack.io 2 writes for undefined and for a Date: extensions of type 0, of
// one and of eight bytes.
func (r *msgpackReader) extension(p []byte) (rest []byte, bad fault) {
	if rest, is := bytes.CutPrefix(p, undefined); is {
		r.json = append(r.json, "null"...) // as JSON.stringify does in an array
		return rest, ""
	}
	if rest, is := bytes.CutPrefix(p, []byte{0xd7, 0}); is && len(rest) >= 8 {
		r.time(time.UnixMilli(int64(binary.BigEndian.Uint64(rest))))
		return rest[8:], ""
	}
	return nil, faultMsgpack
}

// time writes a date as JSON.stringify does.
func (r *msgpackReader) time(t time.Time) {
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		r.json = append(r.json, "null"...)
		return
	}
	r.json = jsontext.AppendString(r.json, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// float writes a number as JSON.stringify does: NaN and infinity become null.
func (r *msgpackReader) float(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.json = append(r.json, "null"...)
		return
	}
	r.json = strconv.AppendFloat(r.json, v, 'g', -1, 64)
}

func (r *msgpackReader) text(p []byte) (rest []byte, err error) {
	v, p, err := msgp.ReadStringZC(p)
	r.json = jsontext.AppendString(r.json, validText(string(v)))
	return p, err
}

func (r *msgpackReader) array(p []byte, depth int) (rest []byte, bad fault) {
	n, p, err := msgp.ReadArrayHeaderBytes(p)
	if err != nil || depth > jsontext.DepthMax {
		return nil, faultMsgpack
	}
	r.json = append(r.json, '[')
	for i := range n {
		if i > 0 {
			r.json = append(r.json, ',')
		}
		if p, bad = r.value(p, depth); bad != "" {
			return nil, bad
		}
	}
	r.json = append(r.json, ']')
	return p, ""
}

func (r *msgpackReader) object(p []byte, depth int) (rest []byte, bad fault) {
	n, p, err := msgp.ReadMapHeaderBytes(p)
	if err != nil || depth > jsontext.DepthMax {
		return nil, faultMsgpack
	}
	r.json = append(r.json, '{')
	for i := range n {
		if i > 0 {
			r.json = append(r.json, ',')
		}
		if p, err = r.text(p); err != nil {
			return nil, faultMsgpack
		}
		r.json = append(r.json, ':')
		if p, bad = r.value(p, depth); bad != "" {
			return nil, bad
		}
	}
	r.json = append(r.json, '}')
	return p, ""
}

// appendMsgpack appends a packet. Its payload is valid JSON, or empty.
func appendMsgpack(dst []byte, k *packet, attachments [][]byte) []byte {
	members := uint32(2)
	if len(k.payload) > 0 {
		members++
	}
	if k.hasID {
		members++
	}
	dst = msgp.AppendMapHeader(dst, members)
	dst = msgp.AppendUint8(msgp.AppendString(dst, "type"), uint8(k.kind))
	if len(k.payload) > 0 {
		dst, _ = appendJSON(msgp.AppendString(dst, "data"), k.payload, 0, attachments)
	}
	if k.hasID {
		dst = msgp.AppendUint64(msgp.AppendString(dst, "id"), k.id)
	}
	return msgp.AppendStringFromBytes(msgp.AppendString(dst, "nsp"), k.namespace)
}

// appendJSON appends the valid JSON value at p[i] and returns where it ends. Placeholders become
// the attachments that they stand for.
func appendJSON(dst, p []byte, i int, attachments [][]byte) (out []byte, end int) {
	end, _ = jsontext.SkipValue(p, i, 0)
	switch p[i] {
	case '"':
		return appendText(dst, p[i+1:end-1]), end
	case '[':
		return appendElements(dst, p, i, attachments)
	case '{':
		if len(attachments) > 0 {
			if found, _ := findPlaceholders(p[i:end], len(attachments)); len(found) == 1 && found[0].from == 0 && found[0].to == end-i {
				return msgp.AppendBytes(dst, attachments[found[0].num]), end
			}
		}
		return appendMembers(dst, p, i, attachments)
	case 't', 'f':
		return msgp.AppendBool(dst, p[i] == 't'), end
	case 'n':
		return msgp.AppendNil(dst), end
	}
	if v, err := strconv.ParseInt(string(p[i:end]), 10, 64); err == nil {
		if v >= 0 {
			return msgp.AppendUint64(dst, uint64(v)), end // as npm notepack.io does
		}
		return msgp.AppendInt64(dst, v), end
	}
	v, _ := strconv.ParseFloat(string(p[i:end]), 64) // a number that is too large becomes infinity, as in JavaScript
	return msgp.AppendFloat64(dst, v), end
}

func appendText(dst, inside []byte) []byte {
	text, wrong := jsontext.Unescape(append([]byte(nil), inside...))
	if wrong != "" { // half a surrogate pair: encoding/json replaces it
		var s string
		_ = json.Unmarshal(append(append([]byte{'"'}, inside...), '"'), &s)
		text = []byte(s)
	}
	return msgp.AppendStringFromBytes(dst, text)
}

func appendElements(dst, p []byte, i int, attachments [][]byte) (out []byte, end int) {
	n := 0
	for at, last := jsontext.SkipSpace(p, i+1), p[jsontext.SkipSpace(p, i+1)] == ']'; !last; n++ {
		at, _ = jsontext.SkipValue(p, jsontext.SkipSpace(p, at), 0)
		at, last, _ = jsontext.SkipComma(p, at, ']')
	}
	dst = msgp.AppendArrayHeader(dst, uint32(n))
	i = jsontext.SkipSpace(p, i+1)
	if n == 0 {
		return dst, i + 1
	}
	for last := false; !last; {
		dst, i = appendJSON(dst, p, jsontext.SkipSpace(p, i), attachments)
		i, last, _ = jsontext.SkipComma(p, i, ']')
	}
	return dst, i
}

func appendMembers(dst, p []byte, i int, attachments [][]byte) (out []byte, end int) {
	n := 0
	for at, last := i+1, p[jsontext.SkipSpace(p, i+1)] == '}'; !last; n++ {
		_, _, value, _ := jsontext.SkipName(p, at)
		at, _ = jsontext.SkipValue(p, value, 0)
		at, last, _ = jsontext.SkipComma(p, at, '}')
	}
	dst = msgp.AppendMapHeader(dst, uint32(n))
	i++
	if n == 0 {
		return dst, jsontext.SkipSpace(p, i) + 1
	}
	for last := false; !last; {
		from, to, value, _ := jsontext.SkipName(p, i)
		dst = appendText(dst, p[from:to])
		dst, i = appendJSON(dst, p, value, attachments)
		i, last, _ = jsontext.SkipComma(p, i, '}')
	}
	return dst, i
}
