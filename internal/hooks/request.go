// What a backend is asked: the body of a request, and the key under which its answer is cached.

package hooks

import (
	"crypto/sha256"
	"encoding/json"
)

// Kind is which decision a hook makes.
type Kind string

// The kinds of decisions: the "type" of a request.
const (
	Connect   Kind = "connect"
	Subscribe Kind = "subscribe"
	Publish   Kind = "publish"
)

// Request is what a backend is asked about. It must not be changed once Ask has got it.
type Request struct {
	// Conn is the connection's ID.
	Conn string `json:"conn"`
	// Sub is the subject that was verified: by a token or an earlier answer. Empty: nobody was
	// identified.
	Sub string `json:"sub"`
	// Transport is the label of the protocol: "websocket", "sse", "socketio".
	Transport string `json:"transport"`
	// Topics are those that the client wants: at connect, and the one of a subscribe or publish.
	Topics []string `json:"topics"`
	// Headers are the fields of the client's request that Options.Headers names. A connect request
	// has them also where there are none.
	Headers map[string]string `json:"headers,omitzero"`
	// Forgeable are the names of those Headers that came from the client itself. Fields of a
	// trusted proxy are not listed.
	Forgeable []string `json:"forgeable,omitempty"`
	// Address is the client's, without a port; empty where it is not known.
	Address string `json:"address,omitempty"`
	// Certificate is the subject of the client's certificate, in the form of RFC 4514; empty: it has
	// shown none.
	Certificate string `json:"certificate,omitempty"`
	// Data is the JSON text of a published value, Binary the bytes of one that is not JSON or text.
	Data   json.RawMessage `json:"data,omitempty"`
	Binary []byte          `json:"data_base64,omitempty"`
}

// key names all requests that get the same answer while it is cached.
type key [sha256.Size]byte

// encode makes the body of a request, and the key of its answer.
func encode(kind Kind, r *Request) (body []byte, k key, err error) {
	if r.Topics == nil {
		r.Topics = []string{}
	}
	if kind == Connect && r.Headers == nil {
		r.Headers = map[string]string{}
	}
	body, err = json.Marshal(struct {
		Type Kind `json:"type"`
		*Request
	}{kind, r})
	if err != nil {
		return nil, key{}, err
	}
	return body, keyOf(kind, r), nil
}

// keyOf leaves out what must not make a difference. The ID of a connection is new each time, so a
// decision about it is for its client. A client that is not identified may be known to the backend
// by that ID: a decision about its topics is for this connection only. The data of a message is
// left out: an answer with "cache" is one about the topic.
func keyOf(kind Kind, r *Request) key {
	same := *r
	same.Data, same.Binary = nil, nil
	if kind == Connect || same.Sub != "" {
		same.Conn = ""
	}
	text, _ := json.Marshal(&same) // it was encoded before
	return sha256.Sum256(append(text, kind...))
}
