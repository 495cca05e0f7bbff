// The id of a socket: public, 20 characters, and it tells where the socket is.

package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"

	"c100k/netpoll"
)

// idBytes is the length of an id before it is text: eight bytes of the connection's ID and seven at
// random, which make it another one for each namespace, connection and process.
const idBytes = 15

// newID makes an id for a socket of a connection.
func newID(conn netpoll.ID) string {
	var p [idBytes]byte
	binary.BigEndian.PutUint64(p[:], uint64(conn))
	rand.Read(p[8:]) // never fails
	return base64.URLEncoding.EncodeToString(p[:])
}

// placeOf is the connection that an id says it is of; false if no id has this form.
func placeOf(id string) (netpoll.ID, bool) {
	if len(id) != base64.URLEncoding.EncodedLen(idBytes) {
		return 0, false
	}
	var p [idBytes]byte
	if _, err := base64.URLEncoding.Decode(p[:], []byte(id)); err != nil {
		return 0, false
	}
	return netpoll.ID(binary.BigEndian.Uint64(p[:])), true
}

// newSecret makes a private id, for recovery: who knows it gets the session.
func newSecret() string {
	var p [idBytes]byte
	rand.Read(p[:])
	return base64.URLEncoding.EncodeToString(p[:])
}
