// The connection in memory that crypto/tls shakes hands over.

package tlsconn

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// pipe is the net.Conn of a handshake. Its other end is a loop, which feeds it bytes and takes what
// was written. A Read returns bytes of one record only, and only when the record is whole: so
// crypto/tls reads nothing ahead, and what follows the handshake stays ours.
type pipe struct {
	mu     sync.Mutex // guards the fields below; held for a few copies at most
	in     []byte     // all that has come
	at     int        // up to where Read has returned it
	end    int        // of the record that is being read
	last   int        // where that record begins
	wrote  []byte     // all that was written
	taken  int        // up to where the loop has it
	closed bool       // the connection has ended
	asleep bool       // the handshake waits for more; who ends that runs it again
	async  bool       // Read does not wait: see ticket

	// sleep is called by Read, without mu, when nothing is there. It returns when there may be.
	sleep func()
}

// errEnded is what a handshake gets whose connection has ended.
var errEnded = errors.New("tlsconn: the connection has ended")

// errAgain says that nothing has come. crypto/tls does not remember an error that is temporary.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "tlsconn: nothing has come" }
func (again) Timeout() bool   { return false }
func (again) Temporary() bool { return true }

// Read is net.Conn's. Only the goroutine of the handshake calls it.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	for p.at == p.end && !p.closed && !p.next() {
		if p.async {
			p.mu.Unlock()
			return 0, errAgain
		}
		p.mu.Unlock()
		p.sleep()
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.closed {
		return 0, errEnded
	}
	n := copy(b, p.in[p.at:p.end])
	p.at += n
	return n, nil
}

// next makes the record behind the present one the present one, if it is whole. Of one that is
// longer than records may be, the header is enough for crypto/tls to refuse it.
func (p *pipe) next() bool {
	rest := p.in[p.end:]
	if len(rest) < headerBytes {
		return false
	}
	n := headerBytes + int(binary.BigEndian.Uint16(rest[3:]))
	if n > headerBytes+sealedBytesMax12 {
		n = headerBytes
	}
	if len(rest) < n {
		return false
	}
	p.last, p.end = p.end, p.end+n
	return true
}

// fed is what a handshake does with bytes that it was given.
type fed uint8

const (
	fedWaits fed = iota // it waits for more
	fedBusy             // it has something to do, and need not be given more for now
	fedWoken            // it has waited for them: the caller runs it again
)

// feed adds what has come.
func (p *pipe) feed(b []byte) fed {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in = append(p.in, b...)
	switch {
	case !p.asleep:
		return fedBusy
	case p.at < p.end || p.next():
		p.asleep = false
		return fedWoken
	}
	return fedWaits
}

// rests tells whether nothing is there for the handshake, which then waits until feed or close says
// something else.
func (p *pipe) rests() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asleep = p.at == p.end && !p.closed && !p.next()
	return p.asleep
}

// abandon ends the handshake at its next Read. True: it has waited, and the caller runs it again.
func (p *pipe) abandon() (woken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	woken, p.asleep, p.closed = p.asleep, false, true
	return woken
}

// ended tells whether abandon was called.
func (p *pipe) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// output is what was written since the last call. The slice is not written to any more.
func (p *pipe) output() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.wrote[p.taken:]
	p.taken = len(p.wrote)
	return out[:len(out):len(out)]
}

// seen is all that was written and read so far, and the last record of what was read. Nothing of it
// changes any more.
func (p *pipe) seen() (wrote, read, lastRead []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrote, p.in[:p.end], p.in[p.last:p.end]
}

// rest is what has come behind the last record that was read.
func (p *pipe) rest() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in[p.end:]
}

// Write is net.Conn's. It never waits: a flight is a few KB.
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, errEnded
	}
	p.wrote = append(p.wrote, b...)
	return len(b), nil
}

// Close is net.Conn's. The socket is the loop's to close.
func (p *pipe) Close() error { return nil }

// LocalAddr is net.Conn's; callbacks of a configuration may ask for it.
func (p *pipe) LocalAddr() net.Addr { return pipeAddr{} }

// RemoteAddr is net.Conn's.
func (p *pipe) RemoteAddr() net.Addr { return pipeAddr{} }

// SetDeadline is net.Conn's. The deadline of a handshake is that of its connection on the loop.
func (p *pipe) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is net.Conn's.
func (p *pipe) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is net.Conn's.
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// pipeAddr is the address of both ends.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "tcp" }
func (pipeAddr) String() string  { return "0.0.0.0:0" }
