// A layer for tests: records of XORed bytes, which tell a lost, doubled or torn one.

package netpolltest

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"

	"c100k/netpoll"
)

// A record has a header of three bytes: what it is, then in 16 bits, high byte
// first, the low five bits of its number and the length of its body. The body of
// the n-th record is XORed with a byte that n makes.
const (
	xorHello = 0x16
	xorData  = 0x17
	xorEnd   = 0x15
	xorAlert = 0x1a

	xorHeader     = 3
	xorRecordMax  = 1 << 10
	xorLengthBits = 11
	xorBacklogMax = 256 << 10
)

// XOR is one end of the layer: what it keeps of one connection. The zero value
// is a new one. It is a Wire.
type XOR struct {
	sealed, opened uint32 // records so far
	kept           []byte // input that is not opened
	ended          bool   // the peer's closing record has come
	hello          bool   // the peer's hello has come
	handshake      bool   // waits from the peer's hello on
	waits          bool   // neither opens nor seals for now
}

func xorKey(n uint32) byte { return byte(0x5a ^ n*37) }

// record appends one record; each piece has its part of the body.
func (x *XOR) record(dst []byte, kind byte, body []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(x.sealed<<xorLengthBits)|uint16(len(body)))
	key := xorKey(x.sealed)
	for _, b := range body {
		dst = append(dst, b^key)
	}
	x.sealed++
	return dst
}

// SealPieces appends pieces in as few records as possible.
func (x *XOR) SealPieces(dst []byte, pieces [][]byte) []byte {
	left := 0
	for _, p := range pieces {
		left += len(p)
	}
	i, off := 0, 0
	for left > 0 {
		size := min(left, xorRecordMax)
		left -= size
		dst = append(dst, xorData)
		dst = binary.BigEndian.AppendUint16(dst, uint16(x.sealed<<xorLengthBits)|uint16(size))
		key := xorKey(x.sealed)
		x.sealed++
		for size > 0 {
			p := pieces[i][off:min(len(pieces[i]), off+size)]
			for _, b := range p {
				dst = append(dst, b^key)
			}
			size -= len(p)
			if off += len(p); off == len(pieces[i]) {
				i, off = i+1, 0
			}
		}
	}
	return dst
}

// Seal is Wire.Seal.
func (x *XOR) Seal(dst, p []byte) []byte { return x.SealPieces(dst, [][]byte{p}) }

// SealEnd is Wire.SealEnd.
func (x *XOR) SealEnd(dst []byte) []byte { return x.record(dst, xorEnd, nil) }

// Hello appends the hello that a layer with Handshake waits for.
func (x *XOR) Hello(dst []byte) []byte { return x.record(dst, xorHello, []byte("hello")) }

// Ended tells whether the peer's closing record has come.
func (x *XOR) Ended() bool { return x.ended }

// Open is Wire.Open.
func (x *XOR) Open(p []byte) (plain []byte, err error) {
	for {
		opened, rest, err := x.open(slices.Clone(p))
		plain = append(plain, opened...)
		if err != nil || len(rest) == 0 {
			return plain, err
		}
		p = rest
	}
}

// open opens what lies whole in p, in place, or completes the record that is
// kept; rest is what it has not looked at.
func (x *XOR) open(p []byte) (plain, rest []byte, err error) {
	if len(x.kept) > 0 {
		whole, rest, err := x.complete(p)
		if whole == nil || err != nil {
			return nil, rest, err
		}
		plain, whole, err = x.next(whole[:0], whole)
		return plain, append(rest, whole...), err
	}
	plain = p[:0]
	for !x.ended && !x.waits {
		from := len(p)
		if plain, p, err = x.next(plain, p); err != nil {
			return plain, nil, err
		}
		if len(p) == from {
			break
		}
	}
	if x.ended {
		return plain, nil, nil
	}
	x.kept = append(x.kept, p...)
	return plain, nil, nil
}

// complete moves bytes from p to the kept record until it is whole, and takes it
// out: plain bytes lie in it until the end of the turn.
func (x *XOR) complete(p []byte) (whole, rest []byte, err error) {
	for {
		size, err := x.size(x.kept)
		if err != nil {
			return nil, nil, err
		}
		n := min(size-len(x.kept), len(p))
		x.kept, p = append(x.kept, p[:n]...), p[n:]
		if len(x.kept) < size {
			return nil, nil, nil
		}
		if size > xorHeader || x.kept[0] == xorEnd {
			whole, x.kept = x.kept, nil
			return whole, p, nil
		}
		if again, err := x.size(x.kept); err != nil || again == size {
			return nil, nil, fmt.Errorf("empty record (%v)", err)
		}
	}
}

// size is how many bytes the record that begins p has; those of its header, if
// it does not have them all.
func (x *XOR) size(p []byte) (int, error) {
	if len(p) < xorHeader {
		return xorHeader, nil
	}
	field := binary.BigEndian.Uint16(p[1:])
	length := int(field & (1<<xorLengthBits - 1))
	if number := uint32(field >> xorLengthBits); number != x.opened%32 {
		return 0, fmt.Errorf("record %d where record %d (modulo 32) should be", number, x.opened%32)
	}
	empty := p[0] == xorEnd
	if p[0] != xorData && p[0] != xorHello && p[0] != xorEnd && p[0] != xorAlert || (length == 0) != empty || length > xorRecordMax {
		return 0, fmt.Errorf("record of type %#x with %d bytes", p[0], length)
	}
	return xorHeader + length, nil
}

// next opens the record that p begins with, if it is whole, onto dst, which may
// be the bytes before it.
func (x *XOR) next(dst, p []byte) (plain, rest []byte, err error) {
	size, err := x.size(p)
	if err != nil || len(p) < max(size, xorHeader) {
		return dst, p, err
	}
	kind, key := p[0], xorKey(x.opened)
	x.opened++
	switch kind {
	case xorEnd:
		x.ended = true
	case xorAlert:
		return dst, nil, fmt.Errorf("the other end's alert")
	case xorHello:
		x.hello, x.waits = true, x.handshake
	default:
		for _, b := range p[xorHeader:size] {
			dst = append(dst, b^key)
		}
	}
	return dst, p[size:], nil
}

// XORLayer is the layer: netpoll.Options.Layer of one loop.
type XORLayer struct {
	// Handshake has the layer send a hello and wait for the peer's. When it has
	// come the layer stops reading, and neither opens nor seals until Ready.
	Handshake bool

	// Waiting is told of each connection that waits for Ready; it may post.
	Waiting func(l *netpoll.Loop, id netpoll.ID)

	// PanicOn has Open panic at input that contains it; nil for never.
	PanicOn func(in []byte) bool

	// Seals counts calls of Seal.
	Seals int

	states netpoll.Slab[XOR]
}

// Len is how many connections have state.
func (y *XORLayer) Len() int { return y.states.Len() }

func (y *XORLayer) at(l *netpoll.Loop, c *netpoll.Conn) *XOR { return y.states.At(l.LayerState(c)) }

// Attach is netpoll.Layer.Attach.
func (y *XORLayer) Attach(l *netpoll.Loop, c *netpoll.Conn, state any) {
	i, x := y.states.Alloc()
	l.SetLayerState(c, i)
	if state != nil {
		*x = *state.(*XOR)
		return
	}
	if y.Handshake {
		x.handshake = true
		l.SendSealed(c, x.Hello(nil))
	}
}

// Open is netpoll.Layer.Open.
func (y *XORLayer) Open(l *netpoll.Loop, c *netpoll.Conn, in []byte) (plain, rest []byte, end netpoll.Reason) {
	if y.PanicOn != nil && y.PanicOn(in) {
		panic("the layer's panic")
	}
	x := y.at(l, c)
	if x.waits {
		if x.kept = append(x.kept, in...); len(x.kept) > xorBacklogMax {
			return nil, nil, netpoll.ReasonLayer
		}
		return nil, nil, netpoll.ReasonNone
	}
	if len(in) == 0 && len(x.kept) > 0 { // from Ready
		in, x.kept = x.kept, nil
	}
	plain, rest, err := x.open(in)
	if x.waits && err == nil {
		x.kept, rest = append(x.kept, rest...), nil
		l.StopRead(c)
		if y.Waiting != nil {
			y.Waiting(l, c.ID())
		}
	}
	switch {
	case err != nil:
		l.SendSealed(c, x.record(nil, xorAlert, []byte("bad")))
		return plain, nil, netpoll.ReasonLayer
	case x.ended:
		return plain, nil, netpoll.ReasonPeer
	}
	return plain, rest, netpoll.ReasonNone
}

// Ready ends the wait that follows the peer's hello. Loop only.
func (y *XORLayer) Ready(l *netpoll.Loop, c *netpoll.Conn) {
	if c.Closing() {
		return
	}
	y.at(l, c).waits = false
	l.StartRead(c)
	l.Reopen(c)
}

// Seal is netpoll.Layer.Seal.
func (y *XORLayer) Seal(l *netpoll.Loop, c *netpoll.Conn, dst []byte, pieces [][]byte) ([]byte, bool) {
	x := y.at(l, c)
	if y.Handshake && (!x.hello || x.waits) {
		return nil, false
	}
	y.Seals++
	return x.SealPieces(dst, pieces), true
}

// SealEnd is netpoll.Layer.SealEnd.
func (y *XORLayer) SealEnd(l *netpoll.Loop, c *netpoll.Conn, dst []byte) []byte {
	return y.at(l, c).SealEnd(dst)
}

// Detach is netpoll.Layer.Detach.
func (y *XORLayer) Detach(l *netpoll.Loop, c *netpoll.Conn) any {
	state := *y.at(l, c)
	y.states.Free(l.LayerState(c))
	return &state
}

// Release is netpoll.Layer.Release.
func (y *XORLayer) Release(l *netpoll.Loop, c *netpoll.Conn) {
	if i := l.LayerState(c); i != 0 {
		y.states.Free(i)
	}
}

// XORConn is a net.Conn that speaks the layer over another one. One goroutine
// may read while another writes and closes.
type XORConn struct {
	net.Conn
	read, write XOR
	plain       []byte
	raw         [4 << 10]byte
}

// Read is net.Conn.Read of plain bytes; the closing record is io.EOF only with
// the FIN behind it.
func (c *XORConn) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		n, err := c.Conn.Read(c.raw[:])
		plain, openErr := c.read.Open(c.raw[:n])
		c.plain = plain
		if openErr != nil {
			return 0, openErr
		}
		if err != nil && len(plain) == 0 {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// Write is net.Conn.Write of plain bytes.
func (c *XORConn) Write(p []byte) (int, error) {
	if _, err := c.Conn.Write(c.write.Seal(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Ended tells whether the closing record has come.
func (c *XORConn) Ended() bool { return c.read.ended }

// CloseWrite sends the closing record, and a FIN where the connection can be closed by halves.
func (c *XORConn) CloseWrite() error {
	if _, err := c.Conn.Write(c.write.SealEnd(nil)); err != nil {
		return err
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close sends the closing record and closes the connection.
func (c *XORConn) Close() error {
	_, _ = c.Conn.Write(c.write.SealEnd(nil))
	return c.Conn.Close()
}
