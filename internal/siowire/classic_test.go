// The format of npm @socket.io/redis-adapter 8.3 and @socket.io/redis-emitter 5.1: what they write
// for the same calls, byte for byte.

package siowire_test

import (
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"c100k/internal/siowire"
	_ "c100k/socketio" // it has the conversion of MessagePack
)

const uid = "NXW7cU"

var classicVectors = []struct {
	what    string
	m       siowire.Message
	channel string
	bytes   string // in hexadecimal, or JSON
}{
	{"io.emit", siowire.Message{Type: siowire.Broadcast, UID: uid, Namespace: "/", Payload: []byte(`["m",1,{"a":true}]`)}, "socket.io#/#",
		"93a64e585737635583a47479706502a46461746193a16d0181a161c3a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380"},
	{"to(r1)", siowire.Message{Type: siowire.Broadcast, UID: uid, Namespace: "/", Rooms: []string{"r1"}, Payload: []byte(`["m","x"]`)}, "socket.io#/#r1#",
		"93a64e585737635583a47479706502a46461746192a16da178a36e7370a12f83a5726f6f6d7391a27231a665786365707490a5666c61677380"},
	{"to(r1, r2).except(r3)", siowire.Message{Type: siowire.Broadcast, UID: uid, Namespace: "/", Rooms: []string{"r1", "r2"}, Except: []string{"r3"},
		Payload: []byte(`["m","y"]`)}, "socket.io#/#",
		"93a64e585737635583a47479706502a46461746192a16da179a36e7370a12f83a5726f6f6d7392a27231a27232a665786365707491a27233a5666c61677380"},
	{"volatile.compress(false)", siowire.Message{Type: siowire.Broadcast, UID: uid, Namespace: "/", Volatile: true, NoCompress: true, Payload: []byte(`["m",2]`)},
		"socket.io#/#", "93a64e585737635583a47479706502a46461746192a16d02a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2"},
	{"binary", siowire.Message{Type: siowire.Broadcast, UID: uid, Namespace: "/", Rooms: []string{"r1"}, Payload: []byte(`["bin",{"_placeholder":true,"num":0}]`),
		Attachments: [][]byte{{1, 2, 3}}}, "socket.io#/#r1#",
		"93a64e585737635583a47479706502a46461746192a362696ec403010203a36e7370a12f83a5726f6f6d7391a27231a665786365707490a5666c61677380"},
	{"of(/admin)", siowire.Message{Type: siowire.Broadcast, UID: "32eooN", Namespace: "/admin", Payload: []byte(`["m",1]`)}, "socket.io#/admin#",
		"93a63332656f6f4e83a47479706502a46461746192a16d01a36e7370a62f61646d696e83a5726f6f6d7390a665786365707490a5666c61677380"},
	{"acknowledged", siowire.Message{Type: siowire.Broadcast, UID: uid, Namespace: "/", RequestID: "JeTo_C", Rooms: []string{"r1"}, Timeout: 500 * time.Millisecond,
		Payload: []byte(`["ask",42]`)}, "socket.io-request#/#",
		"85a3756964a64e5857376355a9726571756573744964a64a65546f5f43a47479706507a67061636b657483a47479706502a46461746192a361736b2aa36e7370a12fa46f70747383a5726f6f6d7391a27231a665786365707490a5666c61677381a774696d656f7574cd01f4"},
	{"fetchSockets", siowire.Message{Type: siowire.FetchSockets, UID: uid, Namespace: "/", RequestID: "lXuqRu"}, "socket.io-request#/#",
		`{"uid":"NXW7cU","requestId":"lXuqRu","type":5,"opts":{"rooms":[],"except":[]}}`},
	{"socketsJoin", siowire.Message{Type: siowire.SocketsJoin, UID: uid, Namespace: "/", Rooms: []string{"r1"}, Names: []string{"r9"}}, "socket.io-request#/#",
		`{"uid":"NXW7cU","type":2,"opts":{"rooms":["r1"],"except":[]},"rooms":["r9"]}`},
	{"socketsLeave", siowire.Message{Type: siowire.SocketsLeave, UID: uid, Namespace: "/", Rooms: []string{"r1"}, Except: []string{"zz"}, Names: []string{"r9"}},
		"socket.io-request#/#", `{"uid":"NXW7cU","type":3,"opts":{"rooms":["r1"],"except":["zz"]},"rooms":["r9"]}`},
	{"disconnectSockets", siowire.Message{Type: siowire.DisconnectSockets, UID: uid, Namespace: "/", Rooms: []string{"r1"}, Close: true}, "socket.io-request#/#",
		`{"uid":"NXW7cU","type":4,"opts":{"rooms":["r1"],"except":[]},"close":true}`},
	{"serverSideEmit", siowire.Message{Type: siowire.ServerSideEmit, UID: uid, Namespace: "/", Payload: []byte(`["hello",1,"2"]`)}, "socket.io-request#/#",
		`{"uid":"NXW7cU","type":6,"data":["hello",1,"2"]}`},
	{"serverSideEmitWithAck", siowire.Message{Type: siowire.ServerSideEmit, UID: uid, Namespace: "/", RequestID: "WValdS", Payload: []byte(`["hello",1]`)},
		"socket.io-request#/#", `{"uid":"NXW7cU","requestId":"WValdS","type":6,"data":["hello",1]}`},
	{"allRooms", siowire.Message{Type: siowire.AllRooms, UID: uid, Namespace: "/", RequestID: "PPxqHu"}, "socket.io-request#/#",
		`{"uid":"NXW7cU","requestId":"PPxqHu","type":1}`},
	{"answer to an acknowledged broadcast", siowire.Message{Type: siowire.BroadcastClientCount, Namespace: "/", RequestID: "TOm_CJ", Clients: 1}, "socket.io-response#/#",
		`{"type":8,"requestId":"TOm_CJ","clientCount":1}`},
	{"acknowledgement", siowire.Message{Type: siowire.BroadcastAck, Namespace: "/", RequestID: "TOm_CJ", Payload: []byte(`"answer"`)}, "socket.io-response#/#",
		"83a47479706509a9726571756573744964a6544f6d5f434aa67061636b6574a6616e73776572"},
	{"answer of a server", siowire.Message{Type: siowire.ServerSideEmitAnswer, Namespace: "/", RequestID: "WValdS", Payload: []byte(`"from B"`), To: uid},
		"socket.io-response#/#NXW7cU#", `{"type":6,"requestId":"WValdS","data":"from B"}`},
	{"answer to allRooms", siowire.Message{Type: siowire.Answer, Namespace: "/", RequestID: "PPxqHu", Names: []string{"2FjFmkMbAfEAwbkgAAAA", "r1"}}, "socket.io-response#/#",
		`{"requestId":"PPxqHu","rooms":["2FjFmkMbAfEAwbkgAAAA","r1"]}`},
	{"emitter.emit", siowire.Message{Type: siowire.Broadcast, UID: siowire.EmitterUID, Namespace: "/", Payload: []byte(`["m",1]`)}, "socket.io#/#",
		"93a7656d697474657283a47479706502a46461746192a16d01a36e7370a12f83a5726f6f6d7390a5666c61677380a665786365707490"},
	{"emitter.to(r1).volatile.emit", siowire.Message{Type: siowire.Broadcast, UID: siowire.EmitterUID, Namespace: "/", Rooms: []string{"r1"}, Volatile: true,
		Payload: []byte(`["m",1]`)}, "socket.io#/#r1#",
		"93a7656d697474657283a47479706502a46461746192a16d01a36e7370a12f83a5726f6f6d7391a27231a5666c61677381a8766f6c6174696c65c3a665786365707490"},
	{"emitter.socketsJoin", siowire.Message{Type: siowire.SocketsJoin, UID: siowire.EmitterUID, Namespace: "/", Rooms: []string{"r1"}, Names: []string{"r5"}},
		"socket.io-request#/#", `{"type":2,"opts":{"rooms":["r1"],"except":[]},"rooms":["r5"]}`},
	{"emitter.serverSideEmit", siowire.Message{Type: siowire.ServerSideEmit, UID: siowire.EmitterUID, Namespace: "/", Payload: []byte(`["hello",1]`)},
		"socket.io-request#/#", `{"uid":"emitter","type":6,"data":["hello",1]}`},
}

func TestClassic(t *testing.T) {
	c := siowire.Classic{Key: "socket.io"}
	for _, v := range classicVectors {
		got := string(c.Append(nil, &v.m))
		if !strings.HasPrefix(v.bytes, "{") {
			got = hex.EncodeToString([]byte(got))
		}
		if channel := c.Channel(&v.m); got != v.bytes || channel != v.channel {
			t.Errorf("%s: %s on %s\nwant %s on %s", v.what, got, channel, v.bytes, v.channel)
		}
		p := c.Append(nil, &v.m)
		var back siowire.Message
		var err error
		switch {
		case strings.HasPrefix(v.channel, "socket.io#"):
			back, err = c.ParseBroadcast(p)
		case strings.HasPrefix(v.channel, "socket.io-request"):
			back, err = c.ParseRequest(v.m.Namespace, p)
		default:
			back, err = c.ParseResponse(v.m.Namespace, p)
		}
		back.To = v.m.To
		if back.UID == "" {
			back.UID = v.m.UID // the emitter leaves it out
		}
		if err != nil || !reflect.DeepEqual(normal(back), normal(v.m)) {
			t.Errorf("%s: comes back as %+v, %v\nwant %+v", v.what, back, err, v.m)
		}
	}
}

// normal makes no difference between no list and an empty one.
func normal(m siowire.Message) siowire.Message {
	for _, list := range []*[]string{&m.Rooms, &m.Except, &m.Names} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return m
}

// TestClassicRefuses: packets of other versions, and what is none at all.
func TestClassicRefuses(t *testing.T) {
	c := siowire.Classic{Key: "socket.io"}
	deep := strings.Repeat("\x91", 100_000)
	for name, p := range map[string]string{
		"empty": "", "a number": "\x01", "two elements": "\x92\xa1u\x80", "no packet": "\x93\xa1u\xc0\x80",
		"packet without data": "\x93\xa1u\x82\xa4type\x02\xa3nsp\xa1/\x80", "an answer": "\x93\xa1u\x82\xa4type\x03\xa4data\x91\xa1m\x80",
		"data is a map": "\x93\xa1u\x82\xa4type\x02\xa4data\x80\x80", "nested too deep": "\x93\xa1u\x82\xa4type\x02\xa4data" + deep + "\x80",
		"nested options":                 "\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1m\x81\xa1x" + deep,
		"four thousand million elements": "\xdd\xff\xff\xff\xff", "as many rooms": "\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1m\x81\xa5rooms\xdd\xff\xff\xff\xff",
		"as much text": "\x93\xdb\xff\xff\xff\xff", "a long uid": "\x93\xd9\x50" + strings.Repeat("u", 0x50) + "\x80\x80",
	} {
		if m, err := c.ParseBroadcast([]byte(p)); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	for name, p := range map[string]string{
		"unknown type": `{"type":99,"uid":"u"}`, "no type": `{"uid":"u"}`, "type is text": `{"type":"2"}`, "cut off": `{"type":2,`,
		"negative": `{"type":-1}`, "fetch without options": `{"type":5,"requestId":"r"}`, "rooms is text": `{"type":2,"opts":{"rooms":"r"},"rooms":["x"]}`,
		"join of a socket without a room": `{"type":2,"sid":"s"}`, "long id": `{"type":1,"requestId":"` + strings.Repeat("r", 100) + `"}`,
		"MessagePack of another type": "\x93\x01\x02\x03", "not UTF-8": "{\"type\":1,\"requestId\":\"\xff\"}",
		"another namespace": `{"type":7,"uid":"u","requestId":"r","opts":{},"packet":{"type":2,"data":["m"],"nsp":"/other"}}`,
	} {
		if m, err := c.ParseRequest("/", []byte(p)); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, err := c.ParseBroadcast(make([]byte, siowire.MessageBytesMax+1)); err != siowire.ErrTooLarge {
		t.Errorf("a large message: %v", err)
	}
	// Rooms with names that no socket can be in do not become everybody.
	m, err := c.ParseRequest("/", []byte(`{"type":2,"opts":{"rooms":["`+strings.Repeat("r", 1<<20)+`"],"except":[7,null]},"rooms":["x"]}`))
	if err != nil || len(m.Rooms) != 1 || len(m.Rooms[0]) <= siowire.RoomBytesMax || !reflect.DeepEqual(m.Except, []string{"7"}) {
		t.Errorf("%d rooms, except %q, %v", len(m.Rooms), m.Except, err)
	}
}

func TestClassicPattern(t *testing.T) {
	c := siowire.Classic{Key: "k"}
	if got := c.Pattern("/a*b[c]?"); got != `k#/a\*b\[c\]\?#*` {
		t.Error(got)
	}
	for channel, want := range map[string]string{"k#/a#": "", "k#/a#r#": "r", "k#/a#r#s#": "r#s"} {
		if room, ok := c.Room("/a", channel); room != want || !ok {
			t.Errorf("%s: %q, %v", channel, room, ok)
		}
	}
	if _, ok := c.Room("/a", "k#/ab#r#"); ok {
		t.Error("a channel of another namespace")
	}
}

// encoded returns the vectors of the channels with that prefix.
func encoded(channels string) (list [][]byte) {
	c := siowire.Classic{Key: "socket.io"}
	for _, v := range classicVectors {
		if strings.HasPrefix(v.channel, channels) {
			list = append(list, c.Append(nil, &v.m))
		}
	}
	return list
}

// again checks that what was parsed can be written and read again.
func again(t *testing.T, m siowire.Message, parse func([]byte) (siowire.Message, error)) {
	if len(m.UID) > siowire.IDBytesMax || len(m.RequestID) > siowire.IDBytesMax || len(m.Rooms) > siowire.SelectionMax || len(m.Except) > siowire.SelectionMax {
		t.Fatalf("breaks a limit: %+v", m)
	}
	if m.Payload != nil && !json.Valid(m.Payload) {
		t.Fatalf("payload %q", m.Payload)
	}
	c := siowire.Classic{Key: "socket.io"}
	if m.Type == siowire.JoinOne || m.Type == siowire.LeaveOne || m.Type == siowire.DisconnectOne || m.Type == siowire.ServerSideEmit && m.Payload == nil {
		return // this package does not write them
	}
	if _, err := parse(c.Append(nil, &m)); err != nil {
		t.Fatalf("%+v is not read again: %v", m, err)
	}
}

func FuzzClassicBroadcast(f *testing.F) {
	for _, p := range encoded("socket.io#") {
		f.Add(p)
	}
	c := siowire.Classic{Key: "socket.io"}
	f.Fuzz(func(t *testing.T, p []byte) {
		if m, err := c.ParseBroadcast(p); err == nil {
			again(t, m, c.ParseBroadcast)
		}
	})
}

func FuzzClassicRequest(f *testing.F) {
	for _, p := range encoded("socket.io-request") {
		f.Add(p)
	}
	f.Add([]byte(`{"type":2,"sid":"s","room":"r","requestId":"q"}`))
	c := siowire.Classic{Key: "socket.io"}
	f.Fuzz(func(t *testing.T, p []byte) {
		parse := func(p []byte) (siowire.Message, error) { return c.ParseRequest("/", p) }
		if m, err := parse(p); err == nil {
			again(t, m, parse)
		}
	})
}

func FuzzClassicResponse(f *testing.F) {
	for _, p := range encoded("socket.io-response") {
		f.Add(p)
	}
	f.Add([]byte(`{"requestId":"r","sockets":[{"id":"s"}]}`))
	c := siowire.Classic{Key: "socket.io"}
	f.Fuzz(func(t *testing.T, p []byte) {
		parse := func(p []byte) (siowire.Message, error) { return c.ParseResponse("/", p) }
		if m, err := parse(p); err == nil {
			again(t, m, parse)
		}
	})
}
