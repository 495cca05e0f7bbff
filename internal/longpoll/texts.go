// Texts of polls that wait: header fields, names and positions, in blocks without pointers.

package longpoll

import "c100k/netpoll"

// block is a part of a text. 32 bytes hold the position of a poll, and no collector looks at them.
type block struct {
	next uint32 // 0: the last
	n    uint8
	b    [27]byte
}

// texts stores byte strings under numbers; 0 is the empty one. Loop only.
type texts struct{ blocks netpoll.Slab[block] }

// put stores p and returns its number.
func (t *texts) put(p []byte) (first uint32) {
	var last *block
	for len(p) > 0 {
		i, b := t.blocks.Alloc()
		b.n = uint8(copy(b.b[:], p))
		p = p[b.n:]
		if last == nil {
			first = i
		} else {
			last.next = i
		}
		last = b
	}
	return first
}

// appendTo appends the text of a number.
func (t *texts) appendTo(dst []byte, i uint32) []byte {
	for i != 0 {
		b := t.blocks.At(i)
		dst = append(dst, b.b[:b.n]...)
		i = b.next
	}
	return dst
}

// drop frees the text of a number, which is 0 from then on.
func (t *texts) drop(i *uint32) {
	for *i != 0 {
		next := t.blocks.At(*i).next
		t.blocks.Free(*i)
		*i = next
	}
}

// replace makes p the text of a number.
func (t *texts) replace(i *uint32, p []byte) {
	t.drop(i)
	*i = t.put(p)
}
