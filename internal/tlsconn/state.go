// State: a connection on its way, and its binary form for the link between two workers.

package tlsconn

import (
	"crypto/x509"
	"encoding/binary"
	"errors"
	"slices"

	"c100k/netpoll"
)

// State is the record layer of a connection between two owners. It has one owner at a time.
type State struct {
	session session
	about   *about
	in      []byte // sealed input that is not opened
}

// errState is for bytes that are no State.
var errState = errors.New("tlsconn: malformed state")

// ErrStateTooBig is for a State that AppendBinary does not write: the peer's certificates are too
// large.
var ErrStateTooBig = errors.New("tlsconn: state too large")

// stateVersion is the first byte of the binary form.
const stateVersion = 1

// AppendBinary appends the binary form: it has the keys of the connection.
func (st *State) AppendBinary(dst []byte) ([]byte, error) {
	from := len(dst)
	s := &st.session
	dst = append(dst, stateVersion, s.suite, byte(s.flags), s.useless, s.updates)
	for _, h := range []*half{&s.read, &s.write} {
		dst = binary.BigEndian.AppendUint64(dst, h.seq)
		dst = append(append(dst, h.material[:]...), h.iv[:]...)
	}
	resumed := byte(0)
	if st.about.resumed {
		resumed = 1
	}
	dst = append(dst, resumed)
	dst = appendBytes(dst, []byte(st.about.name))
	dst = appendBytes(dst, []byte(st.about.proto))
	dst = appendBytes(dst, st.in)
	dst = appendCertificates(dst, st.about.peers)
	dst = append(dst, byte(len(st.about.chains)))
	for _, chain := range st.about.chains {
		dst = appendCertificates(dst, chain)
	}
	if len(dst)-from > stateBytesMax || len(st.about.chains) > chainsMax {
		return dst[:from], ErrStateTooBig
	}
	return dst, nil
}

func appendBytes(dst, p []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(p))), p...)
}

func appendCertificates(dst []byte, all []*x509.Certificate) []byte {
	dst = append(dst, byte(min(len(all), 255)))
	for _, cert := range all[:min(len(all), 255)] {
		dst = appendBytes(dst, cert.Raw)
	}
	return dst
}

// UnmarshalBinary reads what AppendBinary has written, and keeps nothing of p.
func (st *State) UnmarshalBinary(p []byte) error {
	r := stateReader{p: p, ok: len(p) <= stateBytesMax}
	s := &st.session
	version := r.byte()
	s.suite, s.flags, s.useless, s.updates = r.byte(), sessionFlags(r.byte()), r.byte(), r.byte()
	for _, h := range []*half{&s.read, &s.write} {
		h.seq = binary.BigEndian.Uint64(r.take(8))
		copy(h.material[:], r.take(len(h.material)))
		copy(h.iv[:], r.take(len(h.iv)))
	}
	a := &about{}
	resumed := r.byte()
	a.resumed = resumed == 1
	a.name, a.proto = string(r.bytes()), string(r.bytes())
	st.in = append([]byte(nil), r.bytes()...)
	a.peers = r.certificates()
	n := int(r.byte())
	for range n {
		a.chains = append(a.chains, r.certificates())
	}
	known := flagClient | flagAsked | flagBegun | flagCounted
	if !r.ok || len(r.p) > 0 || version != stateVersion || resumed > 1 || n > chainsMax ||
		s.suite == 0 || int(s.suite) > len(suites) || s.flags&^known != 0 || len(st.in) > headerBytes+sealedBytesMax12 {
		return errState
	}
	a.suite, a.version = s.kind().id, s.kind().version
	st.about = a
	return nil
}

// stateReader takes a binary form apart; once something is wrong, all that follows is zero.
type stateReader struct {
	p  []byte
	ok bool
}

// zeros are what is read where nothing is left.
var zeros [64]byte

func (r *stateReader) take(n int) []byte {
	if !r.ok || n > len(r.p) {
		r.ok = false
		return zeros[:min(n, len(zeros))]
	}
	out := r.p[:n]
	r.p = r.p[n:]
	return out
}

func (r *stateReader) byte() byte { return r.take(1)[0] }

func (r *stateReader) bytes() []byte {
	n := binary.BigEndian.Uint32(r.take(4))
	if uint64(n) > uint64(len(r.p)) {
		r.ok = false
		return nil
	}
	return r.take(int(n))
}

func (r *stateReader) certificates() (all []*x509.Certificate) {
	for range int(r.byte()) {
		cert, err := x509.ParseCertificate(r.bytes())
		if err != nil {
			r.ok = false
			return nil
		}
		all = append(all, cert)
	}
	return all
}

// AppendMoved appends the binary form of what netpoll.Loop.DetachLayered has returned for a
// connection with this layer. The error is ErrStateTooBig.
func AppendMoved(dst []byte, m *netpoll.Moved) ([]byte, error) {
	dst = appendBytes(appendBytes(dst, m.Sealed), m.Unopened)
	return m.State.(*State).AppendBinary(dst)
}

// ParseMoved reads what AppendMoved has written, and keeps nothing of p.
func ParseMoved(p []byte) (*netpoll.Moved, error) {
	r := stateReader{p: p, ok: true}
	m := &netpoll.Moved{Sealed: slices.Clone(r.bytes()), Unopened: slices.Clone(r.bytes())}
	if !r.ok {
		return nil, errState
	}
	st := new(State)
	m.State = st
	return m, st.UnmarshalBinary(r.p)
}

// SealLast is the last that a connection sends of which p is the binary form: what is sealed,
// plain, and the closing record. It is nil if p is no binary form.
func SealLast(p, plain []byte) []byte {
	m, err := ParseMoved(p)
	if err != nil {
		return nil
	}
	s, x := &m.State.(*State).session, new(scratch)
	out := s.sealPieces(x, new(once), m.Sealed, [][]byte{plain})
	return s.sealAlert(x, new(once), out, alertCloseNotify)
}
