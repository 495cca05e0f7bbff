// The format of the ClusterAdapter: what npm's sharded adapter writes for the same calls, byte for
// byte.

package siowire_test

import (
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"c100k/internal/siowire"
)

const uid16 = "949a740a47e23d77"

var clusterVectors = []struct {
	what  string
	m     siowire.Message
	bytes string
}{
	{"io.emit", siowire.Message{Type: siowire.Broadcast, Payload: []byte(`["m",1,{"a":true}]`)},
		`{"type":3,"data":{"packet":{"type":2,"data":["m",1,{"a":true}]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"rooms, flags", siowire.Message{Type: siowire.Broadcast, Rooms: []string{"r1", "r2"}, Except: []string{"r3"}, Volatile: true, NoCompress: true, Payload: []byte(`["m",2]`)},
		`{"type":3,"data":{"packet":{"type":2,"data":["m",2]},"opts":{"rooms":["r1","r2"],"except":["r3"],"flags":{"volatile":true,"compress":false}}},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"binary", siowire.Message{Type: siowire.Broadcast, Rooms: []string{"r1"}, Payload: []byte(`["bin",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 3}}},
		"84a47479706503a46461746182a67061636b657482a47479706502a46461746192a362696ec403010203a46f70747383a5726f6f6d7391a27231a665786365707490a5666c61677380a3756964b039343961373430613437653233643737a36e7370a12f"},
	{"acknowledged", siowire.Message{Type: siowire.Broadcast, RequestID: "537bca59fb81ffa3", Rooms: []string{"r1"}, Timeout: 500 * time.Millisecond, Payload: []byte(`["ask",42]`)},
		`{"type":3,"data":{"packet":{"type":2,"data":["ask",42]},"requestId":"537bca59fb81ffa3","opts":{"rooms":["r1"],"except":[],"flags":{"timeout":500}}},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"client count", siowire.Message{Type: siowire.BroadcastClientCount, RequestID: "537bca59fb81ffa3", Clients: 1},
		`{"type":11,"data":{"requestId":"537bca59fb81ffa3","clientCount":1},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"acknowledgement", siowire.Message{Type: siowire.BroadcastAck, RequestID: "537bca59fb81ffa3", Payload: []byte(`"answer"`)},
		`{"type":12,"data":{"requestId":"537bca59fb81ffa3","packet":"answer"},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"fetchSockets", siowire.Message{Type: siowire.FetchSockets, RequestID: "0cba99a2e88094c0"},
		`{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"0cba99a2e88094c0"},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"its answer", siowire.Message{Type: siowire.FetchSocketsAnswer, RequestID: "0cba99a2e88094c0", Sockets: []json.RawMessage{[]byte(`{"id":"s"}`)}},
		`{"type":8,"data":{"requestId":"0cba99a2e88094c0","sockets":[{"id":"s"}]},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"socketsJoin", siowire.Message{Type: siowire.SocketsJoin, Rooms: []string{"r1"}, Names: []string{"r9"}},
		`{"type":4,"data":{"opts":{"rooms":["r1"],"except":[],"flags":{}},"rooms":["r9"]},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"disconnectSockets", siowire.Message{Type: siowire.DisconnectSockets, Rooms: []string{"r1"}, Close: true},
		`{"type":6,"data":{"opts":{"rooms":["r1"],"except":[],"flags":{}},"close":true},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"serverSideEmit", siowire.Message{Type: siowire.ServerSideEmit, Payload: []byte(`["hello",1,"2"]`)},
		`{"type":9,"data":{"packet":["hello",1,"2"]},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"serverSideEmitWithAck", siowire.Message{Type: siowire.ServerSideEmit, RequestID: "1a9ea07148dc21b0", Payload: []byte(`["hello",1]`)},
		`{"type":9,"data":{"requestId":"1a9ea07148dc21b0","packet":["hello",1]},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"its answer", siowire.Message{Type: siowire.ServerSideEmitAnswer, RequestID: "1a9ea07148dc21b0", Payload: []byte(`"from B"`)},
		`{"type":10,"data":{"requestId":"1a9ea07148dc21b0","packet":"from B"},"uid":"949a740a47e23d77","nsp":"/"}`},
	{"heartbeat", siowire.Message{Type: siowire.Heartbeat}, `{"type":2,"uid":"949a740a47e23d77","nsp":"/"}`},
}

func TestCluster(t *testing.T) {
	for _, v := range clusterVectors {
		v.m.UID, v.m.Namespace = uid16, "/"
		p := siowire.AppendCluster(nil, &v.m)
		got := string(p)
		if !strings.HasPrefix(v.bytes, "{") {
			got = hex.EncodeToString(p)
		}
		if got != v.bytes {
			t.Errorf("%s: %s\nwant %s", v.what, got, v.bytes)
		}
		for _, p := range [][]byte{p, siowire.AppendClusterMsgpack(nil, &v.m)} {
			if back, err := siowire.ParseCluster(p); err != nil || !reflect.DeepEqual(normal(back), normal(v.m)) {
				t.Errorf("%s: comes back as %+v, %v\nwant %+v", v.what, back, err, v.m)
			}
		}
		if from, ok := siowire.ClusterFrom(p); ok != (p[0] == '{') || ok && string(from) != uid16 {
			t.Errorf("%s: from %q, %v", v.what, from, ok)
		}
		if v.m.Type == siowire.Broadcast {
			if back, err := siowire.ParseStream("3", uid16, "/", string(siowire.StreamData(&v.m))); err != nil || !reflect.DeepEqual(normal(back), normal(v.m)) {
				t.Errorf("%s: comes back from a stream as %+v, %v", v.what, back, err)
			}
		}
	}
}

func TestClusterRefuses(t *testing.T) {
	for name, p := range map[string]string{
		"empty": "", "cut off": `{"type":3`, "unknown type": `{"type":99,"uid":"u","nsp":"/"}`, "no uid": `{"type":2,"nsp":"/"}`,
		"type is text": `{"type":"x","uid":"u","nsp":"/"}`, "type is a fraction": `{"type":2.5,"uid":"u","nsp":"/"}`, "negative": `{"type":-3,"uid":"u","nsp":"/"}`,
		"broadcast without options": `{"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":2,"data":["m"]}}}`,
		"broadcast of an answer":    `{"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":3,"data":["m"]},"opts":{}}}`,
		"fetch without an id":       `{"type":7,"uid":"u","nsp":"/","data":{"opts":{}}}`, "answer without an id": `{"type":8,"uid":"u","nsp":"/","data":{"sockets":[]}}`,
		"long uid": `{"type":2,"uid":"` + strings.Repeat("u", 100) + `","nsp":"/"}`, "rooms is a number": `{"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":2,"data":["m"]},"opts":{"rooms":7}}}`,
		"MessagePack, an array": "\x93\x01\x02\x03", "MessagePack, nested too deep": "\x81\xa1x" + strings.Repeat("\x91", 100_000),
		"MessagePack, a large map": "\xdf\xff\xff\xff\xff",
	} {
		if m, err := siowire.ParseCluster([]byte(p)); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	for _, data := range []string{"x", "////", strings.Repeat("A", siowire.MessageBytesMax+1), `{"packet":`} {
		if m, err := siowire.ParseStream("3", "u", "/", data); err == nil {
			t.Errorf("stream, %.10s: %+v", data, m)
		}
	}
}

func FuzzCluster(f *testing.F) {
	for _, v := range clusterVectors {
		v.m.UID, v.m.Namespace = uid16, "/"
		f.Add(siowire.AppendCluster(nil, &v.m))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		siowire.ClusterFrom(p)
		m, err := siowire.ParseCluster(p)
		if err != nil || (m.Type == siowire.Broadcast || m.Type == siowire.ServerSideEmit) && m.Payload == nil {
			return
		}
		if len(m.UID) > siowire.IDBytesMax || len(m.Rooms) > siowire.SelectionMax || m.Payload != nil && !json.Valid(m.Payload) {
			t.Fatalf("%+v", m)
		}
		if _, err := siowire.ParseCluster(siowire.AppendCluster(nil, &m)); err != nil {
			t.Fatalf("%+v is not read again: %v", m, err)
		}
	})
}

func FuzzStream(f *testing.F) {
	f.Add("3", `{"packet":{"type":2,"data":["m"]},"opts":{"rooms":[],"except":[],"flags":{}}}`)
	f.Add("4", `{"opts":{"rooms":["r"],"except":[],"flags":{}},"rooms":["x"]}`)
	f.Add("3", "gqZwYWNrZXSCpHR5cGUCpGRhdGGSo2JpbsQDAQIDpG9wdHODpXJvb21zkaJyMaZleGNlcHSQpWZsYWdzgA==")
	f.Fuzz(func(t *testing.T, kind, data string) {
		if m, err := siowire.ParseStream(kind, "u", "/", data); err == nil && (len(m.Rooms) > siowire.SelectionMax || m.Payload != nil && !json.Valid(m.Payload)) {
			t.Fatalf("%+v", m)
		}
	})
}
