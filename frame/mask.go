// Unmasking (RFC 6455, section 5.3), at the speed of ws.Cipher for long payloads and faster for short ones.

package frame

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// unmask applies the mask to p in place; mask's lowest byte meets p[0]. Masking is the same operation.
//
// ws.Cipher does whole blocks of 16 in vector code and the rest byte by byte, which costs up to 20 ns at the lengths that chat and echo use: it is
// given the blocks, and the rest goes by words.
func unmask(p []byte, mask uint32) {
	if mask == 0 { // a server's frame
		return
	}
	if len(p) >= wideBytesMin {
		blocks := len(p) &^ 15
		ws.Cipher(p[:blocks], [4]byte{byte(mask), byte(mask >> 8), byte(mask >> 16), byte(mask >> 24)}, 0)
		p = p[blocks:]
	}
	for wide := uint64(mask)<<32 | uint64(mask); len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
	}
	if len(p) >= 4 {
		binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)^mask)
		p = p[4:]
	}
	for i := range p {
		p[i] ^= byte(mask)
		mask >>= 8
	}
}
