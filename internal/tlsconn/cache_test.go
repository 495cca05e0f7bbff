// The cache of AEADs: who gets a place in it, and how it gives places back.

package tlsconn

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"c100k/internal/certs"
)

// TestCache: the second use in a while gets a place, the first does not; an AEAD that is not used
// goes; the bound holds.
func TestCache(t *testing.T) {
	s := pairs()[0].client
	cost := s.kind().aeadBytes
	k := &cache{max: 2 * cost}
	var now time.Duration
	at := func(d time.Duration) {
		now += d
		k.tick(now)
	}
	at(time.Hour)
	one, two, three := s.write, s.write, s.write
	use := func(h *half) {
		t.Helper()
		sealed := k.get(&s, h).Seal(nil, make([]byte, 12), []byte("plain"), nil)
		if want := h.newAEAD(s.kind()).Seal(nil, make([]byte, 12), []byte("plain"), nil); !bytes.Equal(sealed, want) {
			t.Fatal("the AEAD is another one's")
		}
	}
	expect := func(what string, entries int, in ...*half) {
		t.Helper()
		if k.bytes != entries*cost {
			t.Errorf("%s: %d bytes, want %d entries of %d", what, k.bytes, entries, cost)
		}
		for i, h := range []*half{&one, &two, &three} {
			if h.cached() != slices.Contains(in, h) {
				t.Errorf("%s: half %d is cached: %v", what, i+1, h.cached())
			}
		}
	}
	use(&one)
	expect("a first use", 0)
	at(cacheIdle)
	use(&one)
	expect("another one much later", 0)
	at(cacheIdle - cacheTick)
	use(&one)
	expect("a second one", 1, &one)
	use(&two)
	use(&two)
	use(&three)
	use(&three)
	expect("no room", 2, &one, &two)
	at(cacheReplace)
	use(&two)
	use(&three)
	expect("room of one that was not used", 2, &two, &three)
	k.drop(&two)
	k.drop(&two)
	expect("a new key", 1, &three)
	at(cacheIdle)
	k.sweep(0)
	expect("swept", 0)
	if k.entries != nil || k.free != nil {
		t.Error("the memory for a burst is kept")
	}
	use(&three)
	use(&three)
	expect("again", 1, &three)
}

// TestOneListOfSuites: the suites of the certificates' store are those of the record layer.
func TestOneListOfSuites(t *testing.T) {
	pair, err := certs.Self(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, err := certs.NewStore(&certs.Material{Pairs: []certs.PairPEM{*pair}, TicketKeys: make([]certs.TicketKey, 1)}, certs.Policy{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, want := slices.Sorted(slices.Values(store.Config().CipherSuites)), slices.Sorted(slices.Values(suites12()))
	if !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
