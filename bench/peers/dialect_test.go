// What a client has to say to a rival: raw messages to most, and two protocols of their own.

package peers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// dialect is how messages travel in the frames of a rival.
type dialect interface {
	// open connects to /echo or /broadcast, ready to send.
	open(t *testing.T, addr, path string) session
}

// session is a connection as a user of messages has it.
type session interface {
	send(messages ...frame) // all at once
	read() frame            // the next message
}

// raw is a message a frame.
type raw struct{}

func (raw) open(t *testing.T, addr, path string) session {
	return dial(t, addr, path)
}

// centrifugeJSON is the JSON protocol of centrifuge. It has text messages only.
type centrifugeJSON struct{}

type centrifugeSession struct {
	*client
	command  string    // what carries a message, with %s for its JSON
	messages [][]byte  // of a frame that held several
	id       *jsonInts // ids of commands
}

type jsonInts struct{ last int }

// incoming is a reply or push as far as this client understands it.
type incoming struct {
	ID      int              `json:"id"`
	Error   *json.RawMessage `json:"error"`
	Connect *json.RawMessage `json:"connect"`
	RPC     *struct {
		Data string `json:"data"`
	} `json:"rpc"`
	Push *struct {
		Channel string `json:"channel"`
		Pub     struct {
			Data string `json:"data"`
		} `json:"pub"`
	} `json:"push"`
}

func (centrifugeJSON) open(t *testing.T, addr, path string) session {
	s := &centrifugeSession{client: dial(t, addr, path), command: `{"id":%d,"rpc":{"data":%s}}`, id: &jsonInts{1}}
	if path == "/broadcast" {
		s.command = `{"id":%d,"publish":{"channel":"broadcast","data":%s}}`
	}
	s.client.send(frame{opText, []byte(`{"id":1,"connect":{}}`)})
	if in := s.incoming(); in.Connect == nil || in.Error != nil {
		t.Fatalf("connect: %+v", in)
	}
	return s
}

func (s *centrifugeSession) send(messages ...frame) {
	var frames []frame
	for _, m := range messages {
		data, err := json.Marshal(string(m.payload))
		if err != nil {
			s.t.Fatal(err)
		}
		s.id.last++
		frames = append(frames, frame{opText, fmt.Appendf(nil, s.command, s.id.last, data)})
	}
	s.client.send(frames...)
}

// incoming is the next reply or push. Several may share a frame, a line each.
func (s *centrifugeSession) incoming() (in incoming) {
	s.t.Helper()
	if len(s.messages) == 0 {
		s.messages = bytes.Split(bytes.TrimSpace(s.client.read().payload), []byte("\n"))
	}
	if err := json.Unmarshal(s.messages[0], &in); err != nil {
		s.t.Fatalf("%v: %s", err, s.messages[0])
	}
	s.messages = s.messages[1:]
	return in
}

func (s *centrifugeSession) read() frame {
	s.t.Helper()
	for {
		in := s.incoming()
		switch {
		case in.Error != nil:
			s.t.Fatalf("error: %s", *in.Error)
		case in.RPC != nil:
			return frame{opText, []byte(in.RPC.Data)}
		case in.Push != nil:
			return frame{opText, []byte(in.Push.Pub.Data)}
		}
	}
}

// socketIO is Socket.IO 5 over Engine.IO 4. Text is a string, and binary an attachment.
type socketIO struct{}

type socketIOSession struct {
	*client
	namespace string
}

func (socketIO) open(t *testing.T, addr, path string) session {
	s := &socketIOSession{client: dial(t, addr, "/socket.io/?EIO=4&transport=websocket"), namespace: path + ","}
	if open := s.client.read(); !bytes.HasPrefix(open.payload, []byte("0{")) {
		t.Fatalf("open: %q", open.payload)
	}
	s.client.send(frame{opText, []byte("40" + s.namespace)})
	if connected := s.client.read(); !bytes.HasPrefix(connected.payload, []byte("40"+s.namespace+"{")) {
		t.Fatalf("connect: %q", connected.payload)
	}
	return s
}

func (s *socketIOSession) send(messages ...frame) {
	var frames []frame
	for _, m := range messages {
		if m.op == opBinary {
			frames = append(frames, frame{opText, []byte(`451-` + s.namespace + `["message",{"_placeholder":true,"num":0}]`)}, m)
			continue
		}
		event, err := json.Marshal([]string{"message", string(m.payload)})
		if err != nil {
			s.t.Fatal(err)
		}
		frames = append(frames, frame{opText, append([]byte("42"+s.namespace), event...)})
	}
	s.client.send(frames...)
}

func (s *socketIOSession) read() frame {
	s.t.Helper()
	packet := string(s.client.read().payload)
	if packet == `451-`+s.namespace+`["message",{"_placeholder":true,"num":0}]` {
		return s.client.read()
	}
	event, ok := strings.CutPrefix(packet, "42"+s.namespace)
	if !ok {
		s.t.Fatalf("packet: %.80q", packet)
	}
	var parts []string
	if err := json.Unmarshal([]byte(event), &parts); err != nil || len(parts) != 2 || parts[0] != "message" {
		s.t.Fatalf("%v: %.80q", err, event)
	}
	return frame{opText, []byte(parts[1])}
}
