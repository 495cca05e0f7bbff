// Rooms as topics of the hub.

package socketio

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"c100k/broadcast"
)

// topicOfRoom is the topic of a room in a namespace whose topic, that of all its sockets, is
// prefix. A room's name may be any string; one that a topic cannot have, for its length or its
// characters, is named by its digest.
func topicOfRoom(prefix, room string) string {
	if len(prefix)+1+len(room) <= broadcast.TopicBytesMax && utf8.ValidString(room) && !strings.ContainsFunc(room, unicode.IsControl) {
		return prefix + "/" + room
	}
	digest := sha256.Sum256([]byte(room))
	return prefix + "#" + base64.RawURLEncoding.EncodeToString(digest[:])
}
