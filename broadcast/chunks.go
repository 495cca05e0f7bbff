// Arrays that grow without being copied.

package broadcast

// chunks is an array in pieces of chunkLen that are made when something in them is first needed.
type chunks[T any] struct {
	list []*[chunkLen]T
}

// has says that element i has been made.
func (c *chunks[T]) has(i uint32) bool {
	k := int(i >> chunkBits)
	return k < len(c.list) && c.list[k] != nil
}

// at returns element i, which must have been made. The pointer stays valid.
func (c *chunks[T]) at(i uint32) *T {
	return &c.list[i>>chunkBits][i&(chunkLen-1)]
}

// make makes element i (zero at first) with its neighbours, and returns it.
func (c *chunks[T]) make(i uint32) *T {
	k := int(i >> chunkBits)
	for k >= len(c.list) {
		c.list = append(c.list, nil)
	}
	if c.list[k] == nil {
		c.list[k] = new([chunkLen]T)
	}
	return &c.list[k][i&(chunkLen-1)]
}
