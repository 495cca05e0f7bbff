// Bad input: each has one answer, and costs one connection.

package tlsconn

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"c100k/netpoll"
)

// recorder is a net.Conn that keeps a copy of what is written and read.
type recorder struct {
	net.Conn
	wrote, read []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = append(r.wrote, p...)
	return r.Conn.Write(p)
}

// Read reads one record at a time, as a pipe does.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p[:min(len(p), r.left())])
	r.read = append(r.read, p[:n]...)
	return n, err
}

// left is how many bytes are missing to the next limit of a header or a record.
func (r *recorder) left() int {
	p := r.read
	for {
		if len(p) < headerBytes {
			return headerBytes - len(p)
		}
		n := headerBytes + int(binary.BigEndian.Uint16(p[3:]))
		if len(p) < n {
			return n - len(p)
		}
		p = p[n:]
	}
}

// peer is the client end of the record layer, which a test can have misbehave.
type peer struct {
	t testing.TB
	net.Conn
	s       session
	scratch scratch
	in      []byte
}

// connect shakes hands by crypto/tls, and continues with the record layer.
func (r *running) connect(version uint16) *peer {
	r.t.Helper()
	rec := &recorder{Conn: r.dial()}
	keys := new(keyLog)
	cfg := clientConfig()
	cfg.KeyLogWriter, cfg.MaxVersion, cfg.CipherSuites = keys, version, suites12()
	c := tls.Client(rec, cfg)
	if err := c.Handshake(); err != nil {
		r.t.Fatal(err)
	}
	state := c.ConnectionState()
	all, err := records(rec.read)
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := derive(&state, keys, true, rec.wrote, rec.read, all[len(all)-1])
	if err != nil {
		r.t.Fatal(err)
	}
	return &peer{t: r.t, Conn: rec.Conn, s: s}
}

// raw sends bytes as they are.
func (p *peer) raw(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// send sends one record.
func (p *peer) send(typ byte, body ...byte) {
	p.t.Helper()
	p.raw(p.s.seal(&p.scratch, new(once), nil, typ, body))
}

// next reads one record that is no ticket.
func (p *peer) next() (typ byte, body []byte) {
	p.t.Helper()
	for {
		size, a := p.s.recordSize(p.in)
		if a != alertNone {
			p.t.Fatal(a)
		}
		if size == 0 || len(p.in) < size {
			b := make([]byte, 1<<14)
			n, err := p.Read(b)
			if err != nil {
				p.t.Fatal(err)
			}
			p.in = append(p.in, b[:n]...)
			continue
		}
		record := bytes.Clone(p.in[:size])
		p.in = p.in[size:]
		typ, body, a := p.s.open(&p.scratch, new(once), record)
		if a != alertNone {
			p.t.Fatal(a)
		}
		if typ == typeHandshake && body[0] == messageNewSessionTicket {
			continue
		}
		if typ == typeHandshake { // a KeyUpdate
			if _, a := p.s.take(typ, body, new(once), 0); a != alertNone {
				p.t.Fatal(a)
			}
		}
		return typ, body
	}
}

// expectAlert reads the last record, which is an alert, and the FIN behind it.
func (p *peer) expectAlert(want alert) {
	p.t.Helper()
	typ, body := p.next()
	if typ != typeAlert || len(body) != 2 || alert(body[1]) != want || body[0] != want.level() {
		p.t.Fatalf("record of type %d: %x, want the alert %d", typ, body, want)
	}
	if n, err := io.Copy(io.Discard, p.Conn); err != nil || n+int64(len(p.in)) > 0 {
		p.t.Fatalf("%d bytes behind the alert, %v", n, err)
	}
}

// TestBadRecords has a client misbehave after its handshake. Each time the connection ends with the
// alert of the RFC, and another one notices nothing.
func TestBadRecords(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo})
	witness := r.client(clientConfig())
	header := func(typ byte, n int) []byte { return []byte{typ, 3, 3, byte(n >> 8), byte(n)} }
	for _, version := range []uint16{version12, version13} {
		v13 := version == version13
		for _, test := range []struct {
			name string
			do   func(p *peer)
			want alert
			not  uint16 // not with this version
		}{
			{"a wrong tag", func(p *peer) {
				b := p.s.seal(&p.scratch, new(once), nil, typeData, []byte("hello"))
				b[len(b)-1] ^= 1
				p.raw(b)
			}, alertBadRecordMAC, 0},
			{"a record twice", func(p *peer) {
				b := p.s.seal(&p.scratch, new(once), nil, typeData, []byte("hello"))
				p.raw(b)
				if typ, body := p.next(); typ != typeData || string(body) != "hello" {
					t.Errorf("%d %q", typ, body)
				}
				p.raw(b)
			}, alertBadRecordMAC, 0},
			{"length 0", func(p *peer) { p.raw(header(typeData, 0)) }, alertBadRecordMAC, 0},
			{"length 1", func(p *peer) { p.raw(append(header(typeData, 1), 0)) }, alertBadRecordMAC, 0},
			{"too long for 1.3", func(p *peer) { p.raw(header(typeData, 1<<14+256+1)) }, alertRecordOverflow, version12},
			{"too long for 1.2", func(p *peer) { p.raw(header(typeData, 1<<14+2048+1)) }, alertRecordOverflow, version13},
			{"an unknown type", func(p *peer) { p.raw(append(header(99, 40), make([]byte, 40)...)) }, alertUnexpectedMessage, 0},
			{"an unknown type inside", func(p *peer) { p.send(99, 1) }, alertUnexpectedMessage, version12},
			{"ChangeCipherSpec", func(p *peer) { p.raw([]byte{typeCCS, 3, 3, 0, 1, 1}) }, alertUnexpectedMessage, 0},
			{"another version", func(p *peer) { p.raw([]byte{typeData, 3, 1, 0, 40}) }, alertProtocolVersion, version13},
			{"padding only", func(p *peer) { p.send(0, make([]byte, 20)...) }, alertUnexpectedMessage, version12},
			{"too many plain bytes", func(p *peer) {
				b := make([]byte, plainBytesMax+1)
				p.send(typeData, b...)
			}, alertRecordOverflow, 0},
			{"empty records", func(p *peer) {
				for range uselessMax + 1 {
					p.send(typeData)
				}
			}, alertUnexpectedMessage, 0},
			{"warnings", func(p *peer) {
				for range uselessMax + 1 {
					p.send(typeAlert, levelWarning, byte(alertUserCanceled))
				}
			}, alertUnexpectedMessage, 0},
			{"KeyUpdates", func(p *peer) {
				for range updatesBurst + 1 {
					p.raw(p.s.sealUpdate(&p.scratch, new(once), nil, false))
				}
			}, alertUnexpectedMessage, version12},
			{"a KeyUpdate with data behind it", func(p *peer) {
				p.send(typeHandshake, messageKeyUpdate, 0, 0, 1, 0, messageKeyUpdate, 0, 0, 1, 0)
			}, alertUnexpectedMessage, version12},
			{"a KeyUpdate with a bad request", func(p *peer) { p.send(typeHandshake, messageKeyUpdate, 0, 0, 1, 2) }, alertIllegalParameter, version12},
			{"a KeyUpdate that is too long", func(p *peer) { p.send(typeHandshake, messageKeyUpdate, 0, 0, 2, 0, 0) }, alertDecodeError, version12},
			{"a message that is not whole", func(p *peer) { p.send(typeHandshake, messageKeyUpdate, 0, 0, 1) }, alertDecodeError, version12},
			{"an empty handshake record", func(p *peer) { p.send(typeHandshake) }, alertUnexpectedMessage, 0},
			{"a ticket", func(p *peer) { p.send(typeHandshake, messageNewSessionTicket, 0, 0, 0) }, alertUnexpectedMessage, 0},
			{"a certificate", func(p *peer) { p.send(typeHandshake, 11, 0, 0, 0) }, alertUnexpectedMessage, 0},
			{"renegotiation", func(p *peer) { p.send(typeHandshake, messageClientHello, 0, 0, 0) }, alertNoRenegotiation, version13},
			{"an alert of one byte", func(p *peer) { p.send(typeAlert, levelFatal) }, alertDecodeError, 0},
		} {
			if test.not == version {
				continue
			}
			t.Run(tls.VersionName(version)+" "+test.name, func(t *testing.T) {
				p := r.connect(version)
				p.t = t
				test.do(p)
				p.expectAlert(test.want)
				exchange(t, witness, []byte("still here"))
			})
		}
		_ = v13
	}
	r.eventually("all but one released", func(*netpoll.Loop) bool { return r.layer.Len() == 1 })
}

// TestPeersAlert: a fatal alert ends the connection without an answer.
func TestPeersAlert(t *testing.T) {
	ends := make(chan netpoll.Reason, 1)
	r := serve(t, Config{}, &script{data: echo, close: func(_ *netpoll.Loop, _ *netpoll.Conn, why netpoll.Reason) { ends <- why }})
	for _, version := range []uint16{version12, version13} {
		p := r.connect(version)
		p.send(typeAlert, levelFatal, byte(alertInternalError))
		b, err := io.ReadAll(p)
		all, _ := records(b)
		if err != nil || len(all) > 1 { // a ticket may come
			t.Errorf("%d records, %v", len(all), err)
		}
		p.Close()
		if why := <-ends; why != netpoll.ReasonLayer {
			t.Errorf("it ended with %v", why)
		}
	}
}

// TestKeyUpdates: those of the client are followed, answered where it asks, and data goes on.
func TestKeyUpdates(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo})
	p := r.connect(version13)
	for i := range 10 {
		ask := i%2 == 0
		p.raw(p.s.sealUpdate(&p.scratch, new(once), nil, ask))
		p.send(typeData, []byte("hello")...)
		if ask {
			if typ, body := p.next(); typ != typeHandshake || !bytes.Equal(body, []byte{messageKeyUpdate, 0, 0, 1, 0}) {
				t.Fatalf("%d: %d %x", i, typ, body)
			}
		}
		if typ, body := p.next(); typ != typeData || string(body) != "hello" {
			t.Fatalf("%d: %d %q", i, typ, body)
		}
	}
}

// TestUpdatesWithTime: one KeyUpdate a second is earned back.
func TestUpdatesWithTime(t *testing.T) {
	s := session{suite: suiteOf(tls.TLS_AES_128_GCM_SHA256)}
	s.read.setSecret(s.kind(), make([]byte, 32))
	update := []byte{messageKeyUpdate, 0, 0, 1, 0}
	for now := range uint32(100) {
		if _, a := s.take(typeHandshake, update, new(once), now); a != alertNone {
			t.Fatalf("after %d seconds: %v", now, a)
		}
	}
	for range updatesBurst - 1 {
		if _, a := s.take(typeHandshake, update, new(once), 99); a != alertNone {
			t.Fatal(a)
		}
	}
	if _, a := s.take(typeHandshake, update, new(once), 99); a != alertUnexpectedMessage {
		t.Errorf("one more than the burst: %v", a)
	}
}

// TestKeyLimit: our key is renewed, and the peer asked for another, before RFC 8446, 5.5.
func TestKeyLimit(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo})
	p := r.connect(version13)
	p.send(typeData, 'a')
	if _, body := p.next(); string(body) != "a" {
		t.Fatalf("%q", body)
	}
	r.on(func(l *netpoll.Loop) {
		l.Each(func(c *netpoll.Conn) bool {
			s := r.layer.sessions.At(l.LayerState(c))
			s.read.seq, s.write.seq = recordsMax-1, recordsMax
			return true
		})
	})
	p.s.write.seq, p.s.read.seq = recordsMax-1, recordsMax
	p.send(typeData, 'b') // the last one below the limit
	if typ, body := p.next(); typ != typeHandshake || body[4] != 1 {
		t.Fatalf("no KeyUpdate that asks for one: %d %x", typ, body)
	}
	if typ, body := p.next(); typ != typeData || string(body) != "b" {
		t.Fatalf("%d %x", typ, body)
	}
	p.raw(p.s.sealUpdate(&p.scratch, new(once), nil, false))
	p.send(typeData, 'c')
	if typ, body := p.next(); typ != typeData || string(body) != "c" {
		t.Fatalf("%d %x", typ, body)
	}
	r.on(func(l *netpoll.Loop) {
		l.Each(func(c *netpoll.Conn) bool {
			s := r.layer.sessions.At(l.LayerState(c))
			if s.read.seq != 1 || s.write.seq != 2 || s.flags&flagAsked != 0 {
				t.Errorf("%d read and %d written under the present keys, flags %b", s.read.seq, s.write.seq, s.flags)
			}
			return true
		})
	})
}

// TestBeforeTheHandshake: what is no ClientHello is answered at once.
func TestBeforeTheHandshake(t *testing.T) {
	cfg := Config{PlainHTTP: func(dst []byte, head bool) []byte {
		if head {
			return append(dst, "head"...)
		}
		return append(dst, "http"...)
	}}
	r := serve(t, cfg, &script{data: echo})
	unexpected := string(alertUnexpectedMessage.appendPlain(nil))
	long := append([]byte{typeHandshake, 3, 1, 0x40, 0, messageClientHello, 0, 0xff, 0xff}, make([]byte, 1<<14-4)...)
	for name, test := range map[string]struct {
		in, want string
		why      failure
	}{
		"no TLS":                  {"\x00\x01\x02", unexpected, failNoTLS},
		"SSL 2":                   {"\x80\x2e\x01\x00\x02", unexpected, failNoTLS},
		"lower case":              {"get / HTTP/1.1\r\n\r\n", unexpected, failNoTLS},
		"plain HTTP":              {"GET / HTTP/1.1\r\n\r\n", "http", failPlainHTTP},
		"HTTP/2":                  {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http", failPlainHTTP},
		"plain HTTP, HEAD":        {"HEAD / HTTP/1.1\r\n\r\n", "head", failPlainHTTP},
		"another message":         {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", unexpected, failHello},
		"an empty record":         {"\x16\x03\x01\x00\x00", unexpected, failHello},
		"an alert behind a part":  {"\x16\x03\x01\x00\x01\x01\x15\x03\x01\x00\x02\x01\x00", unexpected, failHello},
		"a ClientHello of 64 KiB": {string(long), string(alertDecodeError.appendPlain(nil)), failHello},
		"a record of 64 KiB":      {"\x16\x03\x01\xff\xff", string(alertDecodeError.appendPlain(nil)), failHello},
	} {
		before := r.layer.Figures().Failed[test.why]
		c := r.dial()
		if _, err := io.WriteString(c, test.in); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
		if n := r.layer.Figures().Failed[test.why]; n != before+1 {
			t.Errorf("%s: %d counted as %s", name, n-before, FailureNames[test.why])
		}
		c.Close()
	}
	r.eventually("released", func(*netpoll.Loop) bool { return r.layer.Len() == 0 && r.layer.holds.Len() == 0 })
}

// TestHandshakesThatFail: crypto/tls says what is wrong, and the counter too.
func TestHandshakesThatFail(t *testing.T) {
	server := serverConfig()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	r := serve(t, Config{Server: func() *tls.Config { return server }}, &script{data: echo})
	old := clientConfig()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	distrust := clientConfig()
	distrust.RootCAs = nil
	for name, test := range map[string]struct {
		cfg *tls.Config
		why failure
	}{
		"an old version":                 {old, failRefused},
		"no certificate of the client":   {clientConfig(), failRefused},
		"the client does not trust us":   {distrust, failAlert},
		"another protocol than HTTP/1.1": {func() *tls.Config { c := clientConfig(); c.NextProtos = []string{"x"}; return c }(), failRefused},
	} {
		before := r.layer.Figures().Failed
		c := tls.Client(r.dial(), test.cfg)
		if err := c.Handshake(); err == nil { // of TLS 1.3: the server judges the client's certificate later
			if _, err = c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		r.eventually(name, func(*netpoll.Loop) bool { return r.layer.Figures().Failed[test.why] == before[test.why]+1 })
		c.Close()
	}
}

// TestStops: handshakes that stop in each state end with their connections, and leave nothing.
func TestStops(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo, open: func(l *netpoll.Loop, c *netpoll.Conn) { l.Arm(c, time.Hour) }})
	hello := helloOf(t)
	for _, n := range []int{0, 1, 5, 6, 9, len(hello) / 2, len(hello) - 1, len(hello)} {
		c := r.dial()
		if _, err := c.Write(hello[:n]); err != nil {
			t.Fatal(err)
		}
		if n == len(hello) { // up to the server's flight
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
		}
		r.eventually("it is there", func(*netpoll.Loop) bool { return r.layer.Len() == 1 })
		c.Close()
		r.eventually("released", func(*netpoll.Loop) bool { return r.layer.Len() == 0 && r.layer.holds.Len() == 0 })
	}
}

// helloOf is a ClientHello of crypto/tls, with its record header.
func helloOf(t testing.TB) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, clientConfig()).Handshake()
		ours.Close()
	}()
	p := make([]byte, headerBytes)
	if _, err := io.ReadFull(theirs, p); err != nil {
		t.Fatal(err)
	}
	p = append(p, make([]byte, binary.BigEndian.Uint16(p[3:]))...)
	if _, err := io.ReadFull(theirs, p[headerBytes:]); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMismatch: a handshake whose records do not match its secrets ends the connection.
func TestMismatch(t *testing.T) {
	keys := new(keyLog)
	state := tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	if _, err := derive(&state, keys, false, nil, nil, nil); err == nil || failureOf(err) != failInternal {
		t.Errorf("no secrets: %v", err)
	}
	keys.client, keys.server, keys.clientHandshake, keys.serverHandshake = make([]byte, 32), make([]byte, 32), make([]byte, 32), make([]byte, 32)
	record := append([]byte{typeData, 3, 3, 0, 40}, make([]byte, 40)...)
	if _, err := derive(&state, keys, false, record, record, record); err == nil || failureOf(err) != failInternal {
		t.Errorf("other secrets: %v", err)
	}
}

// TestPoolStalls: handshakes that wait for their peers make room for others.
func TestPoolStalls(t *testing.T) {
	p := NewPool()
	p.begun = HandshakesMax
	made := func() *shake { return &shake{layer: New(&Config{Pool: p}), remote: new(netpoll.Remote)} }
	sh := made()
	if !p.waits(sh) {
		t.Fatal("nothing has come, and it does not wait")
	}
	now := netpoll.Monotonic()
	if !p.start(made(), now) || sh.ended() {
		t.Error("it was ended at once")
	}
	if !p.start(made(), now+2*stallMax) || !sh.ended() {
		t.Error("it goes on while others wait")
	}
	full := NewPool()
	full.begun, full.queue = HandshakesMax, make([]*shake, waitingMax)
	if full.start(made(), now) {
		t.Error("more may wait than the bound allows")
	}
}
