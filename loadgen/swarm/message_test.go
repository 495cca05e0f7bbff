// Tokens and the messages around them.

package swarm

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestToken(t *testing.T) {
	for _, want := range []Token{
		{},
		{Run: math.MaxUint32, Sender: math.MaxUint32, Seq: SeqMax, Sent: sentMax * time.Microsecond},
		{Run: 1, Sender: 2, Seq: 3, Sent: 4 * time.Microsecond},
		{Run: 0xdeadbeef, Sender: 99999, Seq: 1 << 40, Sent: 400 * 24 * time.Hour},
	} {
		p := AppendToken([]byte("x"), want)
		if got, at := FindToken(p); got != want || at != 1 || len(p) != 1+TokenBytes {
			t.Errorf("%+v came back as %+v at %d, %d bytes", want, got, at, len(p))
		}
		if bytes.ContainsAny(p, "\"'\\<>&/ \r\n") {
			t.Errorf("%s has a character that some protocol changes", p)
		}
	}
}

func TestFindToken(t *testing.T) {
	token := string(AppendToken(nil, Token{Run: 7}))
	for _, tt := range []struct {
		p  string
		at int
	}{
		{"", -1}, {"~c1k:", -1}, {token[:31], -1}, {token, 0}, {"~c1k:" + token, 5}, {`{"data":"` + token + `"}`, 9}, {"~c1k:!" + token[6:] + token, 32},
		{"~c1k:" + strings.Repeat("=", 27), -1},
	} {
		if got, at := FindToken([]byte(tt.p)); at != tt.at || at >= 0 && got.Run != 7 {
			t.Errorf("%s: at %d, want %d", tt.p, at, tt.at)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add([]byte("~c1k:" + strings.Repeat("A", 27)))
	f.Add([]byte("data: ~c1k:~c1k:" + strings.Repeat("-", 30)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		token, at := FindToken(p)
		if at < 0 {
			return
		}
		if again := AppendToken(nil, token); !bytes.Equal(again, p[at:at+TokenBytes]) {
			t.Errorf("%s is read as %+v, which is %s", p[at:at+TokenBytes], token, again)
		}
	})
}

// TestMessage: a message counts as intact if and only if no byte of it has changed.
func TestMessage(t *testing.T) {
	for _, size := range []int{TokenBytes, 33, 128, 1000, 70000, MessageBytesMax} {
		token := Token{Run: 5, Sender: 77, Seq: uint64(size), Sent: 12345*time.Microsecond + 6}
		p := AppendMessage(nil, token, size)
		got, at := FindToken(p)
		if len(p) != size || at != 0 || !whole(p, got, size) {
			t.Fatalf("%d bytes: %d came, whole %v", size, len(p), whole(p, got, size))
		}
		if size == TokenBytes {
			continue
		}
		for _, i := range []int{TokenBytes, size - 1} {
			p[i] ^= 1
			if whole(p, got, size) {
				t.Errorf("%d bytes: byte %d has changed, and it is whole", size, i)
			}
			p[i] ^= 1
		}
		if whole(p[:size-1], got, size) {
			t.Errorf("%d bytes: the last is missing, and it is whole", size)
		}
	}
}

func TestClock(t *testing.T) {
	last := Clock()
	for range 1000 {
		now := Clock()
		if now < last {
			t.Fatal("the clock goes back")
		}
		last = now
	}
}

func TestMessageAllocatesNothing(t *testing.T) {
	p := make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		p = AppendMessage(p[:0], Token{Run: 1, Seq: 2}, 128)
		if got, at := FindToken(p); at != 0 || !whole(p, got, 128) {
			t.Error("not whole")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMessage(b *testing.B) {
	p := AppendMessage([]byte(`{"type":"message","topic":"t","data":"`), Token{Run: 1, Seq: 2}, 128)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			p = AppendMessage(p[:0], Token{Run: 1, Seq: 2}, 128)
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if token, at := FindToken(p); !whole(p[at:], token, 128) {
				b.Fatal("not whole")
			}
		}
	})
}

func ExampleAppendToken() {
	p := AppendToken([]byte("data: "), Token{Run: 1, Sender: 2, Seq: 3, Sent: 4 * time.Second})
	fmt.Printf("%s\n", p)
	token, at := FindToken(p)
	fmt.Println(at, token.Seq, token.Sent)
	// Output:
	// data: ~c1k:AAAAAQAAAAIAAAAAAAMAAAAPQkA
	// 6 3 4s
}
