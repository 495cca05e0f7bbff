// The client that drives them all: written against RFC 6455 alone, so that it shares no mistake
// with a library under test.

package peers

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds everything that a test waits for.
const patience = 30 * time.Second

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

type frame struct {
	op      byte
	payload []byte
}

type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dial opens a WebSocket, and checks the answer to the handshake.
func dial(t *testing.T, addr, path string) *client {
	t.Helper()
	c, response := request(t, addr, path)
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, 1.3
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(accept[:]) ||
		response.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("handshake: %s %v", response.Status, response.Header)
	}
	return c
}

const key = "dGhlIHNhbXBsZSBub25jZQ=="

// tlsPrefix is in front of the address of a rival that speaks TLS.
const tlsPrefix = "tls:"

// connect opens a connection until the test ends.
func connect(t *testing.T, addr string) (conn net.Conn) {
	t.Helper()
	var err error
	if plain, ok := strings.CutPrefix(addr, tlsPrefix); ok {
		conn, err = tls.Dial("tcp", plain, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	} else {
		conn, err = net.Dial("tcp", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// certificate makes one for the test, and returns the flags for it.
func certificate(t *testing.T) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, private: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--cert", cert, "--key", private}
}

// request sends an upgrade request and reads the answer, whatever it is.
func request(t *testing.T, addr, path string) (*client, *http.Response) {
	t.Helper()
	conn := connect(t, addr)
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	c.write([]byte("GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: " + key + "\r\n\r\n"))
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return c, response
}

func (c *client) write(p []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(p); err != nil {
		c.t.Fatal(err)
	}
}

// send writes all frames at once.
func (c *client) send(frames ...frame) {
	c.t.Helper()
	var b []byte
	for _, f := range frames {
		b = appendMasked(b, f)
	}
	c.write(b)
}

func appendMasked(b []byte, f frame) []byte {
	b = append(b, 0x80|f.op)
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask[:]...)
	for i, v := range f.payload {
		b = append(b, v^mask[i%4])
	}
	return b
}

// next reads a frame. The load clients take no fragments, so a rival that sends some has failed.
func (c *client) next() (f frame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return f, err
	}
	f.op = head[0] & 15
	n := uint64(head[1])
	if head[0]&0xf0 != 0x80 || n >= 0x80 {
		return f, fmt.Errorf("frame begins %x: a fragment, reserved bits or a mask", head)
	}
	var extended [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, extended[6:])
		n = binary.BigEndian.Uint64(extended[:])
	case 127:
		_, err = io.ReadFull(c.r, extended[:])
		n = binary.BigEndian.Uint64(extended[:])
	}
	if err != nil {
		return f, err
	}
	if n > 1<<20 {
		return f, errors.New("a frame of more than 1 MiB")
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(c.r, f.payload)
	return f, err
}

// read is next for who expects a frame.
func (c *client) read() frame {
	c.t.Helper()
	f, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *client) expect(want frame) {
	c.t.Helper()
	if got := c.read(); got.op != want.op || !bytes.Equal(got.payload, want.payload) {
		c.t.Fatalf("opcode %d, %d bytes %.80q; want opcode %d, %d bytes %.80q", got.op, len(got.payload), got.payload, want.op, len(want.payload), want.payload)
	}
}

// expectEnd reads until the connection is over.
func (c *client) expectEnd() {
	c.t.Helper()
	f, err := c.next()
	if err == nil {
		c.t.Fatalf("opcode %d, %d bytes behind the close", f.op, len(f.payload))
	}
	if netErr, ok := err.(net.Error); ok && netErr.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
}
