// Who may come in: limits on connections, in all and by address.

package edge

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Tags from tagNoRecord on are not records of addresses. The first two are connections of trusted proxies, counted in
// the total only. Those from tagRefusals on say why the connection is refused, and to the head role that it has nothing
// to do but to say so.
const (
	tagNoRecord uint32 = 1<<32 - 32

	// tagProxy: nothing was read yet, so a PROXY header may come.
	tagProxy = tagNoRecord
	// tagForwarded: no PROXY header can come any more, and X-Forwarded-For is believed.
	tagForwarded = tagNoRecord + 1

	tagRefusals     uint32 = 1<<32 - 16
	tagOverCapacity        = tagRefusals
	tagPerAddr             = tagRefusals + 1
)

// Admission counts connections and says which may come in. Its limits must not change once Admit was called. The
// methods may be called by any goroutine; they lock only where there is a limit by address.
type Admission struct {
	// Max is the number of connections at one time; 0 means no limit.
	Max int
	// MaxPerAddr is the same for one address; 0 means no limit. A /64 of IPv6 is one address, for it is what one
	// customer gets.
	MaxPerAddr int
	// RefusalsMax is the number of connections over a limit that are told so at one time; 0 means the default, 256.
	RefusalsMax int
	// Trusted are the proxies that speak for their clients. A connection from there is not held against its peer's
	// address, but against its client's as soon as the client is known.
	Trusted Networks

	open    atomic.Int64
	told    atomic.Int64 // refused connections that are being told so
	refused [3]atomic.Uint64

	mu      sync.Mutex // guards the fields below
	index   map[addrKey]uint32
	records []addrRecord // the first is not used
	free    []uint32
}

// addrKey is an IPv4 address, or the first 64 bits of an IPv6 address.
type addrKey struct {
	bits uint64
	v4   bool
}

type addrRecord struct {
	key  addrKey
	open int32
}

// Indexes of Admission.refused.
const (
	countOverCapacity = iota
	countPerAddr
	countClosed
)

// Admit asks for one connection from addr. ok false means that it is to be closed at once. Else the tag belongs to the
// connection until Release. A connection over a limit gets a tag too, which tells the head role to say so and no more;
// only when many are hearing that already, it is closed at once.
func (a *Admission) Admit(addr netip.Addr) (tag uint32, ok bool) {
	if !a.count() {
		return a.tell(tagOverCapacity)
	}
	if a.Trusted.Contains(addr) {
		return tagProxy, true
	}
	return a.admitFrom(addr)
}

// count counts one connection more; false if that is one too many.
func (a *Admission) count() bool {
	// Counting first and looking afterwards keeps the limit with several callers, too.
	if n := a.open.Add(1); a.Max > 0 && n > int64(a.Max) {
		a.refused[countOverCapacity].Add(1)
		return false
	}
	return true
}

// admitFrom gives a tag to a connection that is counted, if its address may have one more.
func (a *Admission) admitFrom(addr netip.Addr) (tag uint32, ok bool) {
	if a.MaxPerAddr <= 0 {
		return 0, true
	}
	if tag, ok = a.enter(keyOf(addr)); !ok {
		a.refused[countPerAddr].Add(1)
		return a.tell(tagPerAddr)
	}
	return tag, true
}

// AdmitRequest is Admit for a connection on which a request was read already, so that a PROXY header is none any more.
func (a *Admission) AdmitRequest(addr netip.Addr) (tag uint32, ok bool) {
	tag, ok = a.Admit(addr)
	if tag == tagProxy {
		tag = tagForwarded
	}
	return tag, ok
}

// identify is for a trusted proxy's connection whose client has become known: the tag is to replace the one that it has.
// ok false means that the client is over its limit, that too many hear that already, and that the connection is to be
// closed with the tag that it has.
func (a *Admission) identify(client netip.Addr) (tag uint32, ok bool) {
	if a.MaxPerAddr <= 0 {
		return 0, true
	}
	if tag, ok = a.enter(keyOf(client)); ok {
		return tag, true
	}
	a.refused[countPerAddr].Add(1)
	if !a.mayTell() {
		return 0, false
	}
	a.open.Add(-1)
	return tagPerAddr, true
}

// tell takes a connection out of the count and makes it one that is told why it may not stay.
func (a *Admission) tell(tag uint32) (uint32, bool) {
	a.open.Add(-1)
	if !a.mayTell() {
		return 0, false
	}
	return tag, true
}

// mayTell counts one more that is being told, if there may be one more.
func (a *Admission) mayTell() bool {
	toldMax := a.RefusalsMax
	if toldMax <= 0 {
		toldMax = RefusalsMax
	}
	if a.told.Add(1) > int64(toldMax) {
		a.told.Add(-1)
		a.refused[countClosed].Add(1)
		return false
	}
	return true
}

// Release takes back what Admit gave, once.
func (a *Admission) Release(tag uint32) {
	if tag >= tagRefusals {
		a.told.Add(-1)
		return
	}
	if tag != 0 && tag < tagNoRecord {
		a.leave(tag)
	}
	a.open.Add(-1)
}

// Open is the number of connections that were admitted and not released.
func (a *Admission) Open() int { return int(a.open.Load()) }

// Refused counts the connections refused so far: by the total limit, by the limit for an address, and how many of both
// were closed without an answer.
func (a *Admission) Refused() (overCapacity, perAddr, closed uint64) {
	return a.refused[countOverCapacity].Load(), a.refused[countPerAddr].Load(), a.refused[countClosed].Load()
}

// tagRefusal is the refusal that a tag stands for, nil for the tag of an admitted connection.
func tagRefusal(tag uint32) *Refusal {
	switch {
	case tag < tagRefusals:
		return nil
	case tag == tagPerAddr:
		return RefusePerAddr
	}
	return RefuseOverCapacity
}

func keyOf(addr netip.Addr) addrKey {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return addrKey{bits: uint64(binary.BigEndian.Uint32(b[:])), v4: true}
	}
	b := addr.As16()
	return addrKey{bits: binary.BigEndian.Uint64(b[:8])}
}

// enter counts a connection in the record of its address, which it makes for the first.
func (a *Admission) enter(key addrKey) (tag uint32, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tag, known := a.index[key]
	if !known {
		tag = a.record(key)
	}
	r := &a.records[tag]
	if int(r.open) >= a.MaxPerAddr {
		return 0, false
	}
	r.open++
	return tag, true
}

// record makes the record of an address. The number of records is at most that of connections. The caller holds mu.
func (a *Admission) record(key addrKey) (tag uint32) {
	if a.index == nil {
		a.index = make(map[addrKey]uint32)
		a.records = make([]addrRecord, 1)
	}
	if n := len(a.free); n > 0 {
		tag, a.free = a.free[n-1], a.free[:n-1]
	} else {
		tag = uint32(len(a.records))
		a.records = append(a.records, addrRecord{})
	}
	a.records[tag] = addrRecord{key: key}
	a.index[key] = tag
	return tag
}

// leave takes a connection out of the record of its address, and drops the record with the last one.
func (a *Admission) leave(tag uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.records[tag]
	if r.open--; r.open == 0 {
		delete(a.index, r.key)
		a.free = append(a.free, tag)
	}
}

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
