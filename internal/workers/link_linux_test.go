// The link: connections both ways, and what its end means.

package workers

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// links makes both ends of a link in this process.
func links(t *testing.T) (a, b *Link) {
	t.Helper()
	a, file, err := newPair()
	if err != nil {
		t.Fatal(err)
	}
	// inheritLink closes the descriptor that it is given, as a worker's is its own.
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = inheritLink(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestLinkCarriesConnections(t *testing.T) {
	a, b := links(t)
	for _, ends := range [][2]*Link{{a, b}, {b, a}} {
		for range 3 {
			conn, err := ends[0].DialContext(t.Context(), "tcp", "localhost:80")
			if err != nil {
				t.Fatal(err)
			}
			other, err := ends[1].Accept()
			if err != nil {
				t.Fatal(err)
			}
			for _, way := range [][2]net.Conn{{conn, other}, {other, conn}} {
				var got [5]byte
				if _, err := way[0].Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(way[1], got[:]); err != nil || string(got[:]) != "hello" {
					t.Fatalf("%q, %v", got, err)
				}
			}
			conn.Close()
			if _, err := other.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after the other end's close: %v", err)
			}
			other.Close()
		}
	}
}

// TestLinkEnds: the end of one side is heard by the other, and connections stay.
func TestLinkEnds(t *testing.T) {
	a, b := links(t)
	conn, err := a.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	accepted := make(chan error, 1)
	go func() {
		_, err := b.Accept()
		accepted <- err
	}()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second close: %v", err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after the other side's end: %v", err)
	}
	if _, err := b.DialContext(t.Context(), "", ""); err == nil {
		t.Error("a connection to a side that is gone")
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

// TestLinkIsBounded: a side that takes nothing holds up the other for a bounded time, and costs it
// no descriptor.
func TestLinkIsBounded(t *testing.T) {
	a, _ := links(t)
	before := descriptors(t)
	made := 0
	for ; made < 10_000; made++ {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		conn, err := a.DialContext(ctx, "", "")
		cancel()
		if err != nil {
			break
		}
		conn.Close()
	}
	if made == 0 || made == 10_000 {
		t.Errorf("%d connections were made that nobody takes", made)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestLinkIgnoresInvalidPackets: packets without a descriptor make no connection.
func TestLinkIgnoresInvalidPackets(t *testing.T) {
	a, b := links(t)
	if _, err := a.conn.Write([]byte("no descriptor")); err != nil {
		t.Fatal(err)
	}
	conn, err := a.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Errorf("the connection is not the one that was made: %v", err)
	}
}

func TestInheritedIsALink(t *testing.T) {
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := inheritLink(int(file.Fd())); err == nil {
		t.Error("/dev/null is taken for a link")
	}
	if _, err := inheritLink(1 << 20); err == nil {
		t.Error("nothing is taken for a link")
	}
	for _, text := range []string{"", "x", "-1", "0", "2", "1048575"} {
		t.Setenv(linkVariable, text)
		if link, err := Inherited(); err == nil || link != nil {
			t.Errorf("%q: %v, %v", text, link, err)
		}
		if _, set := os.LookupEnv(linkVariable); set {
			t.Errorf("%q: the variable stays", text)
		}
	}
	if link, err := Inherited(); link != nil || err != nil {
		t.Errorf("without the variable: %v, %v", link, err)
	}
}
