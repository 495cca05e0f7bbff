// Topics: what is published, and who gets it.

package websocket

import (
	"errors"
	"strings"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/wsconn"
)

// everybody is the topic of all connections of a server. A topic that a program chooses has no
// control character, and this one, with its prefix, is none of those: see topicPrefix.
const everybody = ""

// topicPrefix begins the hub's name of each topic of a server, so that the topic of everybody has a
// name that no program can choose.
const topicPrefix = "t:"

// The wire forms of a hub of our own. On a node those of the topic protocol without an envelope are
// the same, in the same order.
const (
	formPlain broadcast.Form = iota
	formDeflated
	formNarrow
)

// encoders are those of the forms.
func encoders() []broadcast.Encoder {
	return []broadcast.Encoder{formPlain: encode, formDeflated: encodeDeflated(frame.WindowFull), formNarrow: encodeDeflated(frame.WindowNarrow)}
}

func opOf(k broadcast.Kind) frame.OpCode {
	if k == broadcast.Binary {
		return frame.OpBinary
	}
	return frame.OpText
}

func encode(dst []byte, m *broadcast.Message) []byte {
	return frame.AppendFrame(dst, opOf(m.Kind), m.Payload)
}

func encodeDeflated(window frame.Window) broadcast.Encoder {
	return func(dst []byte, m *broadcast.Message) []byte {
		if m.Extra == wsconn.NoCompress {
			return encode(dst, m)
		}
		return wsconn.AppendDeflated(dst, opOf(m.Kind), m.Payload, window)
	}
}

// form is the wire form of a connection.
func (p *part) form(s *wsconn.State) broadcast.Form {
	switch s.Window() {
	case frame.WindowFull:
		return p.forms + formDeflated
	case frame.WindowNarrow:
		return p.forms + formNarrow
	}
	return p.forms + formPlain
}

// topic is the hub's name of a topic.
func (p *part) topic(name string) string { return p.server.topic(name) }

func (s *Server) topic(name string) string {
	if name == everybody {
		return s.prefix + "*"
	}
	return s.prefix + topicPrefix + name
}

// named is the inverse of topic, for topics that a program has chosen.
func (p *part) named(topic string) (name string, ok bool) {
	return strings.CutPrefix(topic, p.server.prefix+topicPrefix)
}

// validTopic says whether a program may use a name.
func (s *Server) validTopic(name string) error {
	if len(name) > broadcast.TopicBytesMax-len(topicPrefix)-len(s.prefix) {
		return broadcast.ErrTopicLong
	}
	return broadcast.ValidTopic(name)
}

// publish sends to the subscribers of a topic but c.
func (p *part) publish(c *Conn, topic string, m Message) (broadcast.Result, error) {
	if err := p.server.validTopic(topic); err != nil {
		return broadcast.Result{}, err
	}
	post := postOf(m)
	if n := c.conn(); n != nil {
		own, slot := p.index, n.Slot()
		post.Skip = func(shard int, member uint32) bool { return shard == own && member == slot }
	}
	return p.server.post(topic, post)
}

// errNotUTF8 is returned for text that would end the connections of those who get it.
var errNotUTF8 = errors.New("websocket: a text message must be valid UTF-8")

// postOf is a message as a hub takes it; its data is copied.
func postOf(m Message) broadcast.Post {
	post := broadcast.Post{Kind: m.Kind.broadcast(), Payload: append([]byte(nil), m.Data...)}
	if m.NoCompress {
		post.Extra = wsconn.NoCompress
	}
	return post
}

func (s *Server) post(topic string, post broadcast.Post) (broadcast.Result, error) {
	if post.Kind == broadcast.Text && !utf8.Valid(post.Payload) {
		return broadcast.Result{}, errNotUTF8
	}
	h := s.host.Load()
	if h == nil {
		return broadcast.Result{}, ErrClosed
	}
	return h.publish(s.topic(topic), post)
}

// topicBytesMin is how many bytes a program's topic may have at least, whatever the path of the
// server on its node.
const topicBytesMin = 100
