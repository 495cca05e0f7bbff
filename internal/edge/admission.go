// Admission: limits on the number of connections, in total and by address, and what each connection
// counts as.

package edge

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Tags from tagNoRecord on are not indexes of address records. The first two mark connections of
// trusted proxies, which count in the total only. Tags from tagRefusals on mark connections that
// are refused; the head role answers them with the refusal and does nothing else.
const (
	tagNoRecord uint32 = 1<<32 - 32

	// tagProxy: nothing was read yet, so a PROXY header may follow.
	tagProxy = tagNoRecord
	// tagForwarded: a PROXY header can no longer follow, and X-Forwarded-For is trusted.
	tagForwarded = tagNoRecord + 1

	tagRefusals     uint32 = 1<<32 - 16
	tagOverCapacity        = tagRefusals
	tagPerAddr             = tagRefusals + 1
	tagMemory              = tagRefusals + 2
)

// Admission counts connections and decides which are admitted. Its limits must not change after the
// first call of Admit. Any goroutine may call its methods; they lock only if there is a limit by
// address.
type Admission struct {
	// Max is the number of connections at one time; 0 means no limit.
	Max int
	// MaxPerAddr is the same for one address; 0 means no limit. A /64 network of IPv6 counts as one
	// address, because one customer usually gets that much.
	MaxPerAddr int
	// RefusalsMax is the number of connections over a limit that may be open at one time to receive
	// a refusal; 0 means the default, 256.
	RefusalsMax int
	// Trusted are the proxies whose statements about clients are believed. A connection from one of
	// them counts for the address of its client, as soon as that is known, and not for the proxy's.
	Trusted Networks
	// TrustLocal makes the peers of Unix sockets trusted proxies: they have no address, and the mode
	// and owner of the socket's file decide who they are.
	TrustLocal bool
	// Short tells whether the process is short of memory: then no connection and no session is
	// admitted. Any goroutine. Nil: never.
	Short func() bool
	// OnRefused is called with each connection that is refused, and the address that it counts for;
	// invalid if that is not known. Any goroutine. It may be nil.
	OnRefused func(r *Refusal, addr netip.Addr)

	open atomic.Int64
	told atomic.Int64 // refused connections that are open to receive the refusal

	overCapacity, perAddr, memory, unanswered atomic.Uint64

	sessions sessionTable

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

// Admit asks for one connection from addr. ok false means: close it at once. Otherwise the tag
// belongs to the connection until Release. A connection over a limit gets a tag too, with which the
// head role sends the refusal; it is closed at once only if RefusalsMax others are receiving
// theirs.
func (a *Admission) Admit(addr netip.Addr) (tag uint32, ok bool) {
	if !a.count() {
		return a.tell(tagOverCapacity, addr)
	}
	if a.short() {
		return a.tell(tagMemory, addr)
	}
	if a.trusts(addr) {
		return tagProxy, true
	}
	return a.admitFrom(addr)
}

func (a *Admission) short() bool { return a.Short != nil && a.Short() }

// count counts one connection more; false if that is one too many.
func (a *Admission) count() bool {
	// Counting before comparing keeps the limit when several goroutines call at once.
	n := a.open.Add(1)
	return a.Max <= 0 || n <= int64(a.Max)
}

// trusts tells whether a peer is a trusted proxy.
func (a *Admission) trusts(addr netip.Addr) bool {
	return a.Trusted.Contains(addr) || a.TrustLocal && !addr.IsValid()
}

// admitFrom gives a tag to a connection that count has counted, if its address may have one more.
func (a *Admission) admitFrom(addr netip.Addr) (tag uint32, ok bool) {
	if a.MaxPerAddr <= 0 || !addr.IsValid() {
		return 0, true
	}
	if tag, ok = a.enter(keyOf(addr)); !ok {
		return a.tell(tagPerAddr, addr)
	}
	return tag, true
}

// AdmitRequest is Admit for a connection on which a request was already read, so that no PROXY
// header can follow.
func (a *Admission) AdmitRequest(addr netip.Addr) (tag uint32, ok bool) {
	tag, ok = a.Admit(addr)
	if tag == tagProxy {
		tag = tagForwarded
	}
	return tag, ok
}

// identify gives a trusted proxy's connection the tag of its client, which has become known; the
// caller replaces the old tag by it. ok false means that the client is over its limit and that
// RefusalsMax refusals are under way: close the connection with its old tag.
func (a *Admission) identify(client netip.Addr) (tag uint32, ok bool) {
	if a.MaxPerAddr <= 0 {
		return 0, true
	}
	if tag, ok = a.enter(keyOf(client)); ok {
		return tag, true
	}
	a.report(tagPerAddr, client)
	if !a.mayTell() {
		return 0, false
	}
	a.open.Add(-1)
	return tagPerAddr, true
}

// tell takes a connection out of the count and gives it the tag of a refusal.
func (a *Admission) tell(tag uint32, addr netip.Addr) (uint32, bool) {
	a.open.Add(-1)
	a.report(tag, addr)
	return tag, a.mayTell()
}

func (a *Admission) report(tag uint32, addr netip.Addr) {
	switch tag {
	case tagPerAddr:
		a.perAddr.Add(1)
	case tagMemory:
		a.memory.Add(1)
	default:
		a.overCapacity.Add(1)
	}
	if a.OnRefused != nil {
		a.OnRefused(tagRefusal(tag), addr)
	}
}

// mayTell counts one more connection that receives a refusal, unless RefusalsMax do already.
func (a *Admission) mayTell() bool {
	toldMax := a.RefusalsMax
	if toldMax <= 0 {
		toldMax = RefusalsMax
	}
	if a.told.Add(1) > int64(toldMax) {
		a.told.Add(-1)
		a.unanswered.Add(1)
		return false
	}
	return true
}

// Release gives a tag back. It is called once for each tag.
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

// Open is the number of connections that are admitted and not yet released.
func (a *Admission) Open() int { return int(a.open.Load()) }

// Refused counts the connections and sessions refused so far: by the total limit, by the limit for
// an address, for want of memory, and how many of all were closed by their acceptor, beyond
// RefusalsMax. Any goroutine.
func (a *Admission) Refused() (overCapacity, perAddr, memory, unanswered uint64) {
	return a.overCapacity.Load(), a.perAddr.Load(), a.memory.Load(), a.unanswered.Load()
}

// DismissalOf is the answer to a connection that Admit has told to close at once, with the tag that
// it gave. The caller must not change it. Any goroutine.
func DismissalOf(tag uint32) []byte {
	switch tag {
	case tagPerAddr:
		return dismissalPerAddr
	case tagMemory:
		return dismissalMemory
	}
	return dismissalOverCapacity
}

var (
	dismissalMemory       = AppendRefusal(nil, RefuseMemory, true)
	dismissalPerAddr      = AppendRefusal(nil, RefusePerAddr, true)
	dismissalOverCapacity = AppendRefusal(nil, RefuseOverCapacity, true)
)

// tagRefusal is the refusal that a tag stands for, nil for the tag of an admitted connection.
func tagRefusal(tag uint32) *Refusal {
	switch {
	case tag < tagRefusals:
		return nil
	case tag == tagPerAddr:
		return RefusePerAddr
	case tag == tagMemory:
		return RefuseMemory
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

// enter counts a connection in the record of its address, and makes the record for the first one.
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

// record makes the record of an address. There are at most as many records as connections. The
// caller holds mu.
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

// leave takes a connection out of the record of its address, and drops the record with the last
// one.
func (a *Admission) leave(tag uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.records[tag]
	if r.open--; r.open == 0 {
		delete(a.index, r.key)
		a.free = append(a.free, tag)
	}
}

// Standing is what a connection counts as, independent of its tag: with it a connection moves to
// the Admission of another process. The zero value counts in the total only.
type Standing struct {
	// Client is the address that the connection counts against, of IPv6 its first 64 bits; invalid
	// if it counts against none.
	Client netip.Addr
	// Forwarded: the peer is a trusted proxy, each request may be of another client, and
	// X-Forwarded-For is trusted.
	Forwarded bool
}

// Standing is what the connection with that tag counts as. The tag must be in use.
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

// Readmit is Admit for a connection that another process has admitted and read a request from.
func (a *Admission) Readmit(s Standing) (tag uint32, ok bool) {
	if !a.count() {
		return a.tell(tagOverCapacity, s.Client)
	}
	switch {
	case s.Forwarded:
		return tagForwarded, true
	case !s.Client.IsValid():
		return 0, true
	}
	return a.admitFrom(s.Client)
}

// addr is one of the addresses with this key.
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
