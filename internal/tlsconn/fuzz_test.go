// The record layer against crypto/tls in both roles, and the gate.

package tlsconn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"c100k/netpoll"
)

// FuzzGate holds that the gate judges pieces as it judges the whole, that it never wants more than
// its bound, and that crypto/tls can read what it lets in.
func FuzzGate(f *testing.F) {
	hello := helloOf(f)
	f.Add(hello, uint8(3))
	f.Add(append(bytes.Clone(hello), hello...), uint8(0))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(1))
	f.Add([]byte("HEAD /"), uint8(1))
	f.Add([]byte("\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x03\x00\x00\x00"), uint8(2))
	f.Add([]byte("\x16\x03\x01\xff\xff"), uint8(5))
	f.Fuzz(func(t *testing.T, p []byte, step uint8) {
		whole := gate(p)
		for n := 0; n < len(p); n += 1 + int(step) {
			switch v := gate(p[:n]); v {
			case gateMore:
			case whole:
				return
			default:
				t.Fatalf("%d bytes are %d, all %d are %d", n, v, len(p), whole)
			}
		}
		if whole == gateMore && len(p) >= helloBytesMax {
			t.Fatalf("%d bytes are not enough", len(p))
		}
		if whole == gateHello && p[headerBytes] != messageClientHello {
			t.Fatal("no ClientHello")
		}
	})
}

// pairs are handshakes of crypto/tls with itself, of which each side's record layer can be ours.
var pairs = sync.OnceValue(func() (all []*pair) {
	for i := range suites {
		all = append(all, newPair(&suites[i]))
	}
	return all
})

// pair is a handshake that is over.
type pair struct {
	client, server session
}

// newPair shakes hands with a suite. Of TLS 1.3 crypto/tls chooses the suite, so the sessions get
// secrets of their own there.
func newPair(k *suite) *pair {
	if k.version == version13 {
		p := new(pair)
		p.client.suite, p.server.suite = suiteOf(k.id), suiteOf(k.id)
		p.client.flags = flagClient
		up, down := bytes.Repeat([]byte{1}, k.hashBytes), bytes.Repeat([]byte{2}, k.hashBytes)
		p.client.write.setSecret(k, up)
		p.server.read.setSecret(k, up)
		p.client.read.setSecret(k, down)
		p.server.write.setSecret(k, down)
		return p
	}
	client, server, err := keys12(k, bytes.Repeat([]byte{3}, 48), bytes.Repeat([]byte{4}, 32), bytes.Repeat([]byte{5}, 32))
	if err != nil {
		panic(err)
	}
	return &pair{
		client: session{suite: suiteOf(k.id), flags: flagClient, write: client, read: server},
		server: session{suite: suiteOf(k.id), write: server, read: client},
	}
}

// FuzzRecords has both ends exchange what script says, each in turn, and holds that what is opened
// is what was sealed, however it is split. Each byte of script is an operation.
func FuzzRecords(f *testing.F) {
	f.Add(uint8(0), []byte{1, 200, 3, 7, 11, 255}, []byte("hello"), uint8(3))
	f.Add(uint8(1), []byte{2, 2, 2, 9, 9}, bytes.Repeat([]byte("x"), 40_000), uint8(200))
	f.Add(uint8(2), []byte{4, 8, 12, 5}, []byte{}, uint8(1))
	f.Add(uint8(3), []byte{1, 1, 5, 3}, []byte("y"), uint8(9))
	f.Add(uint8(8), []byte{1, 1, 5, 3}, []byte("y"), uint8(9))
	f.Fuzz(func(t *testing.T, which uint8, script, data []byte, split uint8) {
		p := *pairs()[int(which)%len(suites)]
		for i, op := range script {
			from, to := &p.client, &p.server
			if op&1 != 0 {
				from, to = to, from
			}
			var x scratch
			var sealed []byte
			var want []byte
			switch op >> 1 % 4 {
			case 0, 1:
				want = data[min(len(data), i):]
				sealed = from.sealPieces(&x, new(once), nil, cut(want, int(op)))
			case 2:
				if from.kind().version != version13 {
					continue
				}
				sealed = from.sealUpdate(&x, new(once), nil, false)
			case 3:
				sealed = from.seal(&x, new(once), nil, typeData, nil)
			}
			got, a := openSplit(to, sealed, 1+int(split), uint32(i))
			if a == alertUnexpectedMessage && (to.updates > updatesBurst || to.useless > uselessMax) {
				return // the bounds, and not the records
			}
			if a != alertNone || !bytes.Equal(got, want) {
				t.Fatalf("operation %d, %d: %d bytes of %d, %v", i, op, len(got), len(want), a)
			}
		}
	})
}

// cut makes pieces of p.
func cut(p []byte, n int) (pieces [][]byte) {
	for len(p) > 0 {
		m := min(len(p), 1+n*37)
		pieces, p = append(pieces, p[:m]), p[m:]
	}
	return pieces
}

// openSplit opens what comes in pieces of n bytes, as Layer.open does.
func openSplit(s *session, in []byte, n int, now uint32) (plain []byte, a alert) {
	var x scratch
	h := new(hold)
	for len(in) > 0 {
		piece := bytes.Clone(in[:min(n, len(in))])
		in = in[len(piece):]
		for len(piece) > 0 {
			whole, used, a := s.complete(h, piece)
			if a != alertNone {
				return plain, a
			}
			piece = piece[used:]
			if whole == nil {
				continue
			}
			h.in = nil
			typ, p, a := s.open(&x, new(once), whole)
			if a == alertNone {
				_, a = s.take(typ, p, new(once), now)
			}
			if a != alertNone {
				return plain, a
			}
			if typ == typeData {
				plain = append(plain, p...)
			}
		}
	}
	if len(h.in) > 0 {
		return plain, alertDecodeError
	}
	return plain, alertNone
}

// FuzzOpen holds that arbitrary bytes cannot be opened, and that nothing panics.
func FuzzOpen(f *testing.F) {
	for i, p := range pairs() {
		s := p.client
		f.Add(uint8(i), s.seal(new(scratch), new(once), nil, typeData, []byte("hello")), uint8(7))
	}
	f.Add(uint8(0), []byte{typeData, 3, 3, 0, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, which uint8, in []byte, split uint8) {
		p := pairs()[int(which)%len(suites)]
		s := p.server
		genuine := p.client
		one := genuine.seal(new(scratch), new(once), nil, typeData, []byte("hello"))
		plain, _ := openSplit(&s, in, 1+int(split), 0)
		if len(plain) > 0 && !bytes.HasPrefix(in, one) {
			t.Fatalf("%d forged bytes were opened", len(plain))
		}
	})
}

// FuzzState holds that what is read as a State is written the same.
func FuzzState(f *testing.F) {
	for _, p := range pairs() {
		st := &State{session: p.server, about: &about{aboutKey: aboutKey{name: "localhost", proto: protoHTTP}}, in: []byte("partial")}
		b, err := st.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st := new(State)
		if st.UnmarshalBinary(b) != nil {
			return
		}
		again, err := st.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}

// FuzzPeers puts crypto/tls on one end and a Conn on the other, in both roles, and holds that both
// hear what the other has said, whatever the sizes and the places where the bytes are split.
func FuzzPeers(f *testing.F) {
	f.Add(false, false, uint16(5), uint8(3), []byte{1, 200, 3, 255})
	f.Add(true, true, uint16(17000), uint8(255), []byte{7, 9})
	f.Add(false, true, uint16(1), uint8(0), []byte{3, 3, 3, 11})
	f.Fuzz(func(t *testing.T, v13, asClient bool, size uint16, split uint8, script []byte) {
		if len(script) > 8 {
			script = script[:8]
		}
		stock, ours := stockAndOurs(t, v13, asClient, 1+int(split))
		done := make(chan error, 1)
		go func() { done <- echoUntilEOF(stock) }()
		for i, op := range script {
			if v13 && op%4 == 3 {
				if err := ours.update(op%8 == 7); err != nil {
					t.Fatal(err)
				}
			}
			p := bytes.Repeat([]byte{op}, 1+int(size)*(i+1)%60_000)
			exchange(t, ours, p)
		}
		if err := ours.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("behind the stock end's close_notify: %v", err)
		}
	})
}

// echoUntilEOF echoes until the other end closes, and closes then.
func echoUntilEOF(c *tls.Conn) error {
	b := make([]byte, 20_000)
	for {
		n, err := c.Read(b)
		if err == io.EOF {
			return c.CloseWrite()
		}
		if err == nil {
			_, err = c.Write(b[:n])
		}
		if err != nil {
			return err
		}
	}
}

// stockAndOurs are the ends of a connection: one of crypto/tls, and a Conn that continues another
// one of crypto/tls.
func stockAndOurs(t *testing.T, v13, asClient bool, split int) (*tls.Conn, *Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	version := uint16(version12)
	if v13 {
		version = version13
	}
	keys := new(keyLog)
	client, server := clientConfig(), serverConfig()
	client.MaxVersion, client.CipherSuites, server.CipherSuites = version, suites12(), suites12()
	rec := &recorder{Conn: near}
	var mine, stock *tls.Conn
	if asClient {
		client.KeyLogWriter = keys
		mine, stock = tls.Client(rec, client), tls.Server(&chopped{far, split}, server)
	} else {
		server.KeyLogWriter = keys
		mine, stock = tls.Server(rec, server), tls.Client(&chopped{far, split}, client)
	}
	other := make(chan error, 1)
	go func() { other <- stock.Handshake() }()
	if err := errors.Join(mine.Handshake(), <-other); err != nil {
		t.Fatal(err)
	}
	state := mine.ConnectionState()
	all, err := records(rec.read)
	if err != nil {
		t.Fatal(err)
	}
	s, err := derive(&state, keys, asClient, rec.wrote, rec.read, all[len(all)-1])
	if err != nil {
		t.Fatal(err)
	}
	st := &State{session: s, about: aboutOf(&state)}
	return stock, NewConn(&chopped{near, split}, &netpoll.Moved{State: st})
}

// chopped is a net.Conn that reads few bytes at a time.
type chopped struct {
	net.Conn
	most int
}

func (c *chopped) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), c.most*97)]) }

// CloseWrite closes the sending half.
func (c *chopped) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }
