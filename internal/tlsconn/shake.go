// One handshake: crypto/tls on a goroutine of the pool, and its way back to the loop.

package tlsconn

import (
	"crypto/tls"
	"errors"
	"runtime/debug"
	"time"

	"c100k/netpoll"
)

// shake is a handshake that waits for its turn or runs.
type shake struct {
	pipe

	// Immutable once the pool has it.
	layer  *Layer
	id     netpoll.ID
	client *tls.Config // of a client; nil for a server
	remote *netpoll.Remote

	// Owned by the goroutine that runs it.
	keys   keyLog
	conn   *tls.Conn
	caches bool // it is a client that keeps tickets
	calls  bool // callbacks of the configuration may be called behind the first flight
	over   outcome
	runner *runner

	// Guarded by Pool.mu.
	since      time.Duration // when it began to wait for its peer
	listed     bool
	prev, next *shake
}

// outcome is how a handshake has ended.
type outcome struct {
	err     error
	session session
	about   *about
}

// newShake makes the handshake of a connection; in is what the peer has sent so far.
func newShake(t *Layer, id netpoll.ID, tag uint32, in []byte) *shake {
	sh := &shake{layer: t, id: id, remote: t.remote}
	if t.cfg.Client != nil {
		sh.client = t.cfg.Client(tag)
	}
	sh.in = in
	return sh
}

// abort ends the handshake of a connection that has ended.
func (sh *shake) abort() {
	if sh.abandon() {
		sh.layer.cfg.Pool.resume(sh)
	}
}

// tell has the loop hear of the end of the handshake.
func (sh *shake) tell() {
	sh.remote.PostTo(sh.id, func(l *netpoll.Loop, c *netpoll.Conn) { sh.layer.shaken(l, c, sh) })
}

// tellStalled has the loop hear that the handshake was given up.
func (sh *shake) tellStalled() {
	sh.remote.PostTo(sh.id, func(l *netpoll.Loop, c *netpoll.Conn) { sh.layer.stalled(l, c, sh) })
}

// short tells whether little is left to do: the client's Finished message is to be verified, which
// takes a few hashes, and no callback of the program will be called.
func (sh *shake) short() bool {
	return sh.client == nil && !sh.calls && len(sh.keys.server) > 0
}

// run shakes hands. A panic, of a callback for example, ends this connection only.
func (sh *shake) run(p *Pool) {
	defer func() {
		if v := recover(); v != nil {
			sh.over.err = &panicError{v}
			if log := sh.layer.cfg.Logger; log != nil {
				log.Error("a TLS handshake panicked", "panic", v, "stack", string(debug.Stack()))
			}
		}
	}()
	config, err := sh.config(p)
	if err != nil {
		sh.over.err = err
		return
	}
	if sh.client != nil {
		sh.conn = tls.Client(&sh.pipe, config)
	} else {
		sh.conn = tls.Server(&sh.pipe, config)
	}
	if sh.over.err = sh.conn.Handshake(); sh.over.err == nil {
		sh.finish()
	}
}

// panicError is a panic of a handshake.
type panicError struct{ value any }

func (*panicError) Error() string { return "tlsconn: a handshake panicked" }

// flush has the loop send what was written, and read on.
func (sh *shake) flush() {
	sh.remote.PostTo(sh.id, func(l *netpoll.Loop, c *netpoll.Conn) { sh.layer.progress(l, c, sh) })
}

// errNoConfig is for a layer whose configuration is not there.
var errNoConfig = errors.New("tlsconn: no configuration")

// config is the configuration of this handshake: a copy whose key log is ours.
func (sh *shake) config(p *Pool) (*tls.Config, error) {
	base := sh.client
	if base == nil {
		base = sh.layer.cfg.Server()
	}
	if base == nil {
		return nil, errNoConfig
	}
	sh.caches = sh.client != nil && base.ClientSessionCache != nil
	return sh.own(p, base), nil
}

// own copies a configuration for this handshake.
func (sh *shake) own(p *Pool, base *tls.Config) *tls.Config {
	c := base.Clone()
	sh.keys.next = base.KeyLogWriter
	c.KeyLogWriter = &sh.keys
	if c.MinVersion < tls.VersionTLS12 {
		c.MinVersion = tls.VersionTLS12
	}
	if c.CipherSuites == nil {
		c.CipherSuites = suites12()
	}
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{protoHTTP}
	}
	sh.keepMasters(c, base)
	sh.calls = base.ClientAuth != tls.NoClientCert || base.VerifyConnection != nil
	if choose := base.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			p.release()
			chosen, err := func() (*tls.Config, error) {
				defer p.acquire()
				return choose(hello)
			}()
			if chosen == nil || err != nil {
				return nil, err
			}
			return sh.own(p, chosen), nil
		}
	}
	if get := base.GetCertificate; get != nil {
		// It may wait, for a certificate by ACME for example: meanwhile another handshake computes.
		c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			p.release()
			defer p.acquire()
			return get(hello)
		}
	}
	return c
}

// finish makes the session of a handshake that has ended well.
func (sh *shake) finish() {
	state := sh.conn.ConnectionState()
	wrote, read, lastRead := sh.seen()
	sh.over.session, sh.over.err = derive(&state, &sh.keys, sh.client != nil, wrote, read, lastRead)
	sh.over.about = aboutOf(&state)
}
