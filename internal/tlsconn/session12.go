// Resumed sessions of TLS 1.2: crypto/tls does not log their master secret, so it goes with the
// session, in SessionState.Extra, which only the holder of the ticket keys can read.

package tlsconn

import (
	"bytes"
	"crypto/tls"
	"slices"
)

// masterLabel marks our entry in SessionState.Extra, which may have others'.
const masterLabel = "c100k master secret\x00"

// withMaster adds the master secret, which is empty for TLS 1.3, to a session.
func (k *keyLog) withMaster(ss *tls.SessionState) {
	ss.Extra = slices.DeleteFunc(ss.Extra, func(p []byte) bool { return bytes.HasPrefix(p, []byte(masterLabel)) })
	ss.Extra = append(ss.Extra, append([]byte(masterLabel), k.master...))
}

// findMaster takes the master secret from a session; false if it has none that we added: then the
// session is another program's.
func (k *keyLog) findMaster(ss *tls.SessionState) bool {
	for _, extra := range ss.Extra {
		if master, ok := bytes.CutPrefix(extra, []byte(masterLabel)); ok {
			k.master = master
			return true
		}
	}
	return false
}

// keepMasters has c, the copy of base for this handshake, keep master secrets with its sessions.
func (sh *shake) keepMasters(c, base *tls.Config) {
	if base.ClientSessionCache != nil {
		c.ClientSessionCache = &masterCache{base.ClientSessionCache, &sh.keys}
	}
	wrap, unwrap := base.WrapSession, base.UnwrapSession
	if wrap == nil {
		wrap = c.EncryptTicket
	}
	if unwrap == nil {
		unwrap = c.DecryptTicket
	}
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		if cs.Version == version12 {
			sh.keys.withMaster(ss)
		}
		return wrap(cs, ss)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := unwrap(ticket, cs)
		if err != nil || ss == nil || cs.Version == version12 && !sh.keys.findMaster(ss) {
			return nil, err // without a session the handshake is a full one
		}
		return ss, nil
	}
}

// masterCache is the ClientSessionCache of one handshake.
type masterCache struct {
	tls.ClientSessionCache
	keys *keyLog
}

// Get is ClientSessionCache.Get.
func (m *masterCache) Get(key string) (*tls.ClientSessionState, bool) {
	cs, ok := m.ClientSessionCache.Get(key)
	if !ok || cs == nil {
		return nil, false
	}
	_, ss, err := cs.ResumptionState()
	if err != nil || ss == nil || !m.keys.findMaster(ss) {
		return nil, false
	}
	return cs, true
}

// Put is ClientSessionCache.Put.
func (m *masterCache) Put(key string, cs *tls.ClientSessionState) {
	if cs != nil {
		ticket, ss, err := cs.ResumptionState()
		if err == nil && ss != nil {
			m.keys.withMaster(ss)
			if with, err := tls.NewResumptionState(ticket, ss); err == nil {
				cs = with
			}
		}
	}
	m.ClientSessionCache.Put(key, cs)
}
