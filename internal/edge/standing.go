// What a connection counts as, apart from its tag: for taking it to the Admission of another process.

package edge

import (
	"encoding/binary"
	"net/netip"
)

// Standing is what an Admission holds a connection to be. The zero value counts in the total only.
type Standing struct {
	// Client is the address that the connection counts against, of IPv6 its first 64 bits; invalid if it counts against none.
	Client netip.Addr
	// Forwarded: a trusted proxy has made it, each request on it may be another client's, and X-Forwarded-For is believed.
	Forwarded bool
}

// Standing is what a connection with that tag counts as. It must have been admitted, and not released.
func (a *Admission) Standing(tag uint32) Standing {
	switch {
	case tag >= tagNoRecord:
		return Standing{Forwarded: true}
	case tag == 0:
		return Standing{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return Standing{Client: a.records[tag].key.addr()}
}

// Readmit is Admit for a connection that another process has admitted, and a request of which was read there.
func (a *Admission) Readmit(s Standing) (tag uint32, ok bool) {
	if !a.count() {
		return a.tell(tagOverCapacity)
	}
	switch {
	case s.Forwarded:
		return tagForwarded, true
	case !s.Client.IsValid():
		return 0, true
	}
	return a.admitFrom(s.Client)
}

// addr is an address that has this key.
func (k addrKey) addr() netip.Addr {
	if k.v4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(k.bits))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], k.bits)
	return netip.AddrFrom16(b)
}
