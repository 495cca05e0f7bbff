// What the tests of this package share: a node with an echo above Engine.IO, and the words of the
// transcripts.

package engineio

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/edge"
	"c100k/internal/prototest"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

const (
	roleHead netpoll.Role = iota
	rolePolling
	roleSocket
	roleSession
)

var roles = Roles{Head: roleHead, Polling: rolePolling, Socket: roleSocket, Session: roleSession}

// rig is a node with an endpoint and an App that echoes. A text that begins with "!" is a command
// to it.
type rig struct {
	*prototest.Node
	t    testing.TB
	e    *Endpoint
	log  []string // what the App has heard
	last *Session
	tag  uint32 // of its connections
}

var config = Config{
	PayloadBytesMax: 2000, PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, AllowV3: true, NoPolling: false,
}

func newRig(t testing.TB, seed uint64, cfg Config, with ...func(*prototest.Options)) *rig {
	r := &rig{t: t}
	o := prototest.Options{
		Seed: seed, OutboxBytesMax: 4 << 10,
		Encoders: []broadcast.Encoder{FormV4: encoder(FormV4), FormV4Deflated: encoder(FormV4Deflated), FormV4Narrow: encoder(FormV4Narrow), FormV3: encoder(FormV3)},
		Handlers: func(n *prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
			cfg.App, cfg.Roles, cfg.Shard, cfg.Sink = r, roles, n.Shard, n.Sink
			cfg.Date = func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }
			r.e = New(cfg)
			r.e.secrets.left = len(r.e.secrets.buf) // so that ids can be foretold
			hs[roleHead] = edge.NewHeadHandler(&edge.Config{Route: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
				r.e.Serve(l, c, h, rest)
				return edge.Handled
			}})
			hs[rolePolling], hs[roleSocket], hs[roleSession] = r.e.PollingHandler(), r.e.SocketHandler(), r.e.SessionHandler()
			return hs
		},
		Members: members{r},
		Flush:   func(l *netpoll.Loop) { r.e.Flush(l) },
	}
	for _, f := range with {
		f(&o)
	}
	r.Node = prototest.NewNode(t, o)
	return r
}

// members defers to the endpoint, which is made later.
type members struct{ r *rig }

func (m members) MemberPending(l *netpoll.Loop, c *netpoll.Conn) int {
	return m.r.e.MemberPending(l, c)
}
func (m members) MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32) {
	m.r.e.MemberSend(l, c, p, mark, n)
}
func (m members) MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) int {
	return m.r.e.MemberDrop(l, c, need, dropped)
}
func (m members) Slow(l *netpoll.Loop, c *netpoll.Conn) { m.r.e.Slow(l, c) }

func encoder(f Form) broadcast.Encoder {
	return func(dst []byte, m *broadcast.Message) []byte { return AppendMessage(dst, f, m.Payload, []byte{1, 2}) }
}

// Connect is that of the node, with the rig's tag.
func (r *rig) Connect(role netpoll.Role) *netpolltest.Peer {
	p := r.Node.Connect(role)
	if r.tag != 0 {
		r.Do(p, func(_ *netpoll.Loop, c *netpoll.Conn) { c.SetTag(r.tag) })
	}
	return p
}

func (r *rig) note(format string, args ...any) { r.log = append(r.log, fmt.Sprintf(format, args...)) }

func (r *rig) Opened(_ *netpoll.Loop, s *Session, q *Request) {
	r.note("opened %d %s", q.Version, q.Transport)
	r.last = s
}

func (r *rig) Text(l *netpoll.Loop, s *Session, p []byte) {
	r.note("text %s", p)
	command, rest, _ := strings.Cut(string(p), " ")
	switch command {
	case "!attach": // a text with two attachments
		r.e.SendMessage(l, s, []byte(rest), []byte{1, 2, 3, 4}, []byte{9, 9})
	case "!close":
		r.e.Close(l, s, ReasonForcedClose, 0, "")
	case "!bye": // a last word, then the close
		r.e.SendText(l, s, []byte("1"))
		r.e.Close(l, s, ReasonForcedClose, 0, "")
	case "!join":
		if _, err := r.Shard.Subscribe(s.Member(), broadcast.Form(s.Form()), rest); err != nil {
			r.t.Error(err)
		}
	case "!panic":
		panic("as asked")
	case "!mute":
	default:
		r.e.SendText(l, s, p)
	}
}

func (r *rig) Binary(l *netpoll.Loop, s *Session, p []byte) {
	r.note("binary %x", p)
	r.e.SendShared(l, s, AppendBinary(nil, s.Form(), p))
}

func (r *rig) Upgraded(_ *netpoll.Loop, s *Session) { r.note("upgraded") }

func (r *rig) Closed(_ *netpoll.Loop, s *Session, reason Reason) { r.note("closed %s", reason) }

// cast makes the cast of a transcript. Sessions are named by their anchors' slots: $1 in a query or
// a payload is the id of that in slot 1.
func (r *rig) cast() prototest.Cast {
	return prototest.Cast{
		Node: r.Node, Role: roleHead,
		Open:  func(*netpoll.Loop, *netpoll.Conn, []string) {},
		Do:    r.perform,
		Frame: r.frame,
	}
}

// perform does the words of the transcripts.
//
//	then                      what was sent so far arrives before what follows
//	heard WORDS               the App must have heard this next
//	publish TOPIC TEXT        a broadcast, with an attachment
//	flood TOPIC SIZE          three broadcasts of that size
//	drain SLOT | kick SLOT    ends the session whose anchor is in the slot
func (r *rig) perform(word, rest string, client func(string) *netpolltest.Peer) bool {
	switch word {
	case "heard":
		if len(r.log) == 0 {
			r.t.Fatalf("heard nothing, want %q", rest)
		}
		if r.log[0] != rest {
			r.t.Fatalf("heard %q, want %q", r.log[0], rest)
		}
		r.log = r.log[1:]
	case "publish":
		topic, text, _ := strings.Cut(rest, " ")
		if _, err := r.Hub.Publish(topic, broadcast.Text, []byte(text)); err != nil {
			r.t.Fatal(err)
		}
	case "flood": // more than an outbox has room for, in turns of their own
		topic, size, _ := strings.Cut(rest, " ")
		for range 3 {
			if _, err := r.Hub.Publish(topic, broadcast.Text, bytes.Repeat([]byte("x"), prototest.Int(r.t, size))); err != nil {
				r.t.Fatal(err)
			}
			r.Settle()
		}
	case "drain", "kick":
		c := r.ConnAt(uint32(prototest.Int(r.t, rest)))
		r.Remote().PostTo(c.ID(), func(l *netpoll.Loop, c *netpoll.Conn) {
			if word == "drain" {
				r.e.Drain(l, c)
			} else {
				r.e.Kick(l, c)
			}
		})
	case "then": // lets what was sent before arrive first
	case "window":
		name, n, _ := strings.Cut(rest, " ")
		client(name).SetWindow(prototest.Int(r.t, n))
	default:
		return false
	}
	return true
}

var slotName = regexp.MustCompile(`\$\d+`)

func expand(s string) string {
	return slotName.ReplaceAllStringFunc(s, func(name string) string {
		slot, _ := strconv.Atoi(name[1:])
		return string(appendID(nil, &place{slot: uint32(slot)}))
	})
}

// frame makes what is written and read.
//
//	get QUERY | upgrade QUERY | METHOD-LIKE-PUT QUERY      requests; further words are header fields, "Name:value"
//	post QUERY BODY | octets QUERY HEX                     the same with a body
//	answer BODY | script BODY | bytes HEX | ok             answers of polling
//	handshake SLOT[|LINE]…                                 the answer that opens a session, with more header lines
//	refused CODE MESSAGE | empty STATUS[|LINE] | switching
//	sends TEXT                                             a frame with such names in it
//	zeros N                                                N bytes
func (r *rig) frame(word, rest string) []byte {
	first, more, _ := strings.Cut(rest, " ")
	first = expand(first)
	switch word {
	case "get", "put", "head", "options":
		return request(strings.ToUpper(word), first, more, "")
	case "upgrade":
		return request("GET", first, more+" Connection:Upgrade Upgrade:websocket Sec-WebSocket-Version:13 Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==", "")
	case "post":
		body := unquote(expand(more))
		return request("POST", first, "Content-Length:"+strconv.Itoa(len(body)), body)
	case "form": // of a page of the same host
		body := unquote(expand(more))
		return request("POST", first, "Referer:http://node/ Content-Length:"+strconv.Itoa(len(body)), body)
	case "octets":
		body := unhex(r.t, more)
		return request("POST", first, "Content-Type:application/octet-stream Content-Length:"+strconv.Itoa(len(body)), body)
	case "answer":
		return reply("200 OK", kindText, unquote(expand(rest)))
	case "handshake":
		slot, lines, _ := strings.Cut(rest, "|")
		if lines != "" {
			lines = "|" + lines
		}
		return reply("200 OK"+lines, kindText, expand(`0{"sid":"$`+slot+`","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":2000}`))
	case "script":
		return reply("200 OK", kindScript, unquote(expand(rest)))
	case "bytes":
		return reply("200 OK", kindOctets, unhex(r.t, rest))
	case "ok":
		return reply("200 OK", kindHTML, "ok")
	case "refused":
		status := "400 Bad Request"
		if first == "4" {
			status = "403 Forbidden"
		}
		return reply(status, kindJSON, `{"code":`+first+`,"message":"`+more+`"}`)
	case "empty":
		return reply(rest, "", "")
	case "zeros":
		return make([]byte, prototest.Int(r.t, rest))
	case "sends":
		return frame.AppendFrame(nil, frame.OpText, []byte(expand(rest)))
	case "switching":
		return []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	}
	return nil
}

func request(method, query, fields, body string) []byte {
	head := method + " /socket.io/?" + query + " HTTP/1.1\r\nHost: node\r\n"
	for _, f := range strings.Fields(fields) {
		name, value, _ := strings.Cut(f, ":")
		head += name + ": " + value + "\r\n"
	}
	return []byte(head + "\r\n" + body)
}

// reply is an answer. status may have header lines behind it that come after the others, each
// behind a bar.
func reply(status, kind, body string) []byte {
	lines := strings.Split(status, "|")
	head := "HTTP/1.1 " + lines[0] + "\r\n"
	if kind != "" {
		head += "Content-Type: " + kind + "\r\n"
	}
	head += "Content-Length: " + strconv.Itoa(len(body)) + "\r\nCache-Control: no-store\r\nDate: Sun, 01 Nov 2026 12:00:00 GMT\r\n"
	for _, line := range lines[1:] {
		head += line + "\r\n"
	}
	return []byte(head + "\r\n" + body)
}

func unquote(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

func unhex(t testing.TB, s string) string {
	t.Helper()
	var b []byte
	for _, word := range strings.Fields(s) {
		for i := 0; i+1 < len(word); i += 2 {
			n, err := strconv.ParseUint(word[i:i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, byte(n))
		}
	}
	return string(b)
}

func TestTranscripts(t *testing.T) {
	cors := config
	cors.Cookie = "io"
	cors.CORS = CORS{Credentials: true, ExposedHeaders: []string{"X-B", "X-C"}, MaxAge: 10 * time.Minute}
	var err error
	if cors.Origins, err = edge.ParseOriginRules([]string{"https://shop.example"}); err != nil {
		t.Fatal(err)
	}
	for dir, cfg := range map[string]Config{"": config, "cors/": cors, "rooms/": config, "plain/": {}} {
		for _, seed := range []uint64{0, 1, 2, 3, 4, 5} {
			prototest.Run(t, "testdata/"+dir+"*.txt", func(t *testing.T) prototest.Cast { return newRig(t, seed, cfg).cast() })
		}
	}
}
