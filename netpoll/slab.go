// Typed storage for what protocols keep of a connection.

package netpoll

const slabChunk = 256

// Slab stores values of one type under small indexes, in chunks that never
// move. Index 0 means none. Loop only; a pointer from At is valid until Free.
type Slab[T any] struct {
	chunks []*[slabChunk]T
	free   []uint32
	used   uint32
}

// Alloc takes a zeroed value and its index.
func (s *Slab[T]) Alloc() (uint32, *T) {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i, s.At(i)
	}
	if s.used%slabChunk == 0 && int(s.used/slabChunk) == len(s.chunks) {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	s.used++
	return s.used, s.At(s.used)
}

// At is the value under an index that Alloc gave and Free has not taken back.
func (s *Slab[T]) At(i uint32) *T { return &s.chunks[(i-1)/slabChunk][(i-1)%slabChunk] }

// Free gives the value back; it is zeroed at once, so that it keeps nothing
// alive.
func (s *Slab[T]) Free(i uint32) {
	var zero T
	*s.At(i) = zero
	s.free = append(s.free, i)
}

// Len is how many values are in use.
func (s *Slab[T]) Len() int { return int(s.used) - len(s.free) }
