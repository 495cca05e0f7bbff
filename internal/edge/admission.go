// Admission: limits on the number of connections, in total and by address, and what each connection
// counts as.

package edge

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/quota"
)

// Tags from tagNoRecord on are not those of the table of addresses. The first two mark connections
// of trusted proxies, which count in the total only. Tags from tagRefusals on mark connections that
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
	tagConnRate            = tagRefusals + 2
	tagMemory              = tagRefusals + 3
)

// Admission counts connections and decides which are admitted. Its fields must not change after the
// first call of Admit. Any goroutine may call its methods; those for connections lock only if
// there is a limit by address.
type Admission struct {
	// Max is the number of connections at one time; 0 means no limit.
	Max int
	// MaxPerAddr is the same for one address; 0 means no limit. A /64 network of IPv6 counts as one
	// address, because one customer usually gets that much.
	MaxPerAddr int
	// RatePerAddr is how many connections a second one address may open on average, and within one
	// second at once, at least 1; 0 means no limit.
	RatePerAddr float64
	// Addresses counts what an address holds: both limits hold for all processes that share it. Nil:
	// this process has one of its own, if it has such a limit.
	Addresses *quota.Table
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

	overCapacity, perAddr, connRate, memory, unanswered atomic.Uint64

	sessions sessionTable

	making sync.Once    // for the field below
	table  *quota.Table // nil: there is no limit by address
}

// The kinds of keys in the table, as their Lo. Hi is an IPv4 address, or the first 64 bits of an
// IPv6 address.
const (
	keyConns4 uint64 = iota + 1
	keyConns6
	keySessions4
	keySessions6
)

// addresses is the table of what addresses hold.
func (a *Admission) addresses() *quota.Table {
	a.making.Do(func() {
		switch {
		case a.MaxPerAddr <= 0 && a.RatePerAddr <= 0:
		case a.Addresses != nil:
			a.table = a.Addresses
		default:
			// Without memory for a table nobody is refused, as in a full one.
			a.table, _ = quota.New(QuotaKeys(a.Max))
		}
	})
	return a.table
}

// QuotaKeys is for how many keys a table of addresses is made, where that many connections may be
// open, 0 for any number: each may have an address of its own, and so may as many sessions.
func QuotaKeys(conns int) int {
	if conns <= 0 {
		conns = quotaConnsDefault
	}
	return min(2*conns+quotaRecent, quota.KeysMax)
}

// limit is what an address may do.
func (a *Admission) limit() quota.Limit {
	l := quota.Limit{Max: a.MaxPerAddr}
	if a.RatePerAddr > 0 {
		l.Period = time.Duration(float64(time.Second) / a.RatePerAddr)
		l.Window = max(0, time.Second-l.Period)
	}
	return l
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
	if !addr.IsValid() {
		return 0, true
	}
	tag, ok = a.enter(addr, a.limit())
	if !ok {
		return a.tell(tag, addr)
	}
	return tag, true
}

// enter counts a connection for its address. With ok false the tag is that of the refusal.
func (a *Admission) enter(addr netip.Addr, limit quota.Limit) (tag uint32, ok bool) {
	table := a.addresses()
	if table == nil {
		return 0, true
	}
	tag, outcome := table.Enter(keyOf(addr, keyConns4), limit, time.Now())
	switch outcome {
	case quota.TooMany:
		return tagPerAddr, false
	case quota.TooFast:
		return tagConnRate, false
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
	if tag, ok = a.enter(client, a.limit()); ok {
		return tag, true
	}
	a.report(tag, client)
	if !a.mayTell() {
		return 0, false
	}
	a.open.Add(-1)
	return tag, true
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
	case tagConnRate:
		a.connRate.Add(1)
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
		a.addresses().Leave(tag)
	}
	a.open.Add(-1)
}

// Open is the number of connections that are admitted and not yet released.
func (a *Admission) Open() int { return int(a.open.Load()) }

// Refusals counts connections and sessions that were refused, by the limit.
type Refusals struct {
	OverCapacity uint64 // by Admission.Max
	PerAddr      uint64 // by Admission.MaxPerAddr
	ConnRate     uint64 // by Admission.RatePerAddr
	Memory       uint64 // by Admission.Short
	Unanswered   uint64 // of all these, closed by their acceptor, beyond RefusalsMax

	Uncounted uint64 // let in although the table of addresses had no room, by all its processes
}

// Refused counts the refusals so far. Any goroutine.
func (a *Admission) Refused() Refusals {
	r := Refusals{OverCapacity: a.overCapacity.Load(), PerAddr: a.perAddr.Load(), ConnRate: a.connRate.Load(), Memory: a.memory.Load(), Unanswered: a.unanswered.Load()}
	if table := a.addresses(); table != nil {
		r.Uncounted = table.Uncounted()
	}
	return r
}

// DismissalOf is the answer to a connection that Admit has told to close at once, with the tag that
// it gave. The caller must not change it. Any goroutine.
func DismissalOf(tag uint32) []byte {
	switch tag {
	case tagPerAddr:
		return dismissalPerAddr
	case tagConnRate:
		return dismissalConnRate
	case tagMemory:
		return dismissalMemory
	}
	return dismissalOverCapacity
}

var (
	dismissalMemory       = AppendRefusal(nil, RefuseMemory, true)
	dismissalPerAddr      = AppendRefusal(nil, RefusePerAddr, true)
	dismissalConnRate     = AppendRefusal(nil, RefuseConnRate, true)
	dismissalOverCapacity = AppendRefusal(nil, RefuseOverCapacity, true)
)

// tagRefusal is the refusal that a tag stands for, nil for the tag of an admitted connection.
func tagRefusal(tag uint32) *Refusal {
	switch {
	case tag < tagRefusals:
		return nil
	case tag == tagPerAddr:
		return RefusePerAddr
	case tag == tagConnRate:
		return RefuseConnRate
	case tag == tagMemory:
		return RefuseMemory
	}
	return RefuseOverCapacity
}

// keyOf is the key of what an address holds; kind is that of IPv4.
func keyOf(addr netip.Addr, kind uint64) quota.Key {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return quota.Key{Hi: uint64(binary.BigEndian.Uint32(b[:])), Lo: kind}
	}
	b := addr.As16()
	return quota.Key{Hi: binary.BigEndian.Uint64(b[:8]), Lo: kind + 1}
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
	return Standing{Client: addrOf(a.addresses().Key(tag))}
}

// Readmit is Admit for a connection that another process has admitted and read a request from. The
// limits of its address were applied there, and it still counts there until it has arrived.
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
	return a.enter(s.Client, quota.Limit{})
}

// addrOf is one of the addresses with this key.
func addrOf(k quota.Key) netip.Addr {
	if k.Lo == keyConns4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(k.Hi))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], k.Hi)
	return netip.AddrFrom16(b)
}
