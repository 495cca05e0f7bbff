// The events in memory that the backend has not taken.

package hooks

// queue holds lines in their order. One goroutine.
type queue interface {
	// push puts a line behind the others; false if there is no room, or it could not be written.
	push(line []byte) bool
	// flush hands what was pushed to the system: what survives the end of the process.
	flush() error
	// peek appends the first lines, as many as a batch may have.
	peek(dst [][]byte) ([][]byte, error)
	// pop drops the first n lines, which peek gave.
	pop(n int) error
	// len and bytes are what it holds.
	len() int
	bytes() int64
	close() error
}

// memory is a queue that ends with the process. The zero value is empty.
type memory struct {
	lines [][]byte
	size  int64
}

func (q *memory) push(line []byte) bool {
	if len(q.lines) >= QueueEventsMax || q.size+int64(len(line)) > QueueBytesMax {
		return false
	}
	q.lines = append(q.lines, line)
	q.size += int64(len(line))
	return true
}

func (q *memory) flush() error { return nil }

func (q *memory) peek(dst [][]byte) ([][]byte, error) {
	size := 0
	for _, line := range q.lines {
		if size += len(line); len(dst) == batchEventsMax || len(dst) > 0 && size > batchBytesMax {
			break
		}
		dst = append(dst, line)
	}
	return dst, nil
}

func (q *memory) pop(n int) error {
	for i, line := range q.lines[:n] {
		q.size -= int64(len(line))
		q.lines[i] = nil
	}
	if q.lines = q.lines[n:]; len(q.lines) == 0 {
		q.lines = nil // a queue that was long gives its memory back
	}
	return nil
}

func (q *memory) len() int     { return len(q.lines) }
func (q *memory) bytes() int64 { return q.size }
func (q *memory) close() error { return nil }
