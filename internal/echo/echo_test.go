package echo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/prototest"
	"c100k/internal/wsconn"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// bare is the form without an envelope, as internal/topicws has it.
func bare(dst []byte, m *broadcast.Message) []byte {
	op := frame.OpText
	if m.Kind == broadcast.Binary {
		op = frame.OpBinary
	}
	return frame.AppendFrame(dst, op, m.Payload)
}

type fixture struct {
	*prototest.Node
	echo      *Echo
	broadcast *Broadcast
	overload  bool
}

func newFixture(t testing.TB, seed uint64) *fixture {
	f := &fixture{}
	f.Node = prototest.NewNode(t, prototest.Options{
		Seed: seed, Encoders: []broadcast.Encoder{bare, bare}, OutboxBytesMax: 1 << 20,
		Handlers: func(n *prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
			cfg := wsconn.Config{
				MessageBytesMax: 2 << 20, OutboxBytesMax: 1 << 20, PingInterval: 30 * time.Second, PingTimeout: 10 * time.Second,
			}
			f.echo = NewEcho(cfg)
			cfg.Shard, cfg.Sink = n.Shard, n.Sink
			f.broadcast = NewBroadcast(BroadcastConfig{
				WebSocket: cfg, Form: func(window frame.Window) broadcast.Form { return broadcast.Form(min(window, 1)) },
				Publish: func(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
					if f.overload {
						return broadcast.Result{Matched: 1, Dropped: 1}, nil
					}
					return n.Hub.Publish(topic, kind, payload)
				},
			})
			hs[1], hs[2] = f.echo, f.broadcast
			return hs
		},
	})
	return f
}

func (f *fixture) open(l *netpoll.Loop, c *netpoll.Conn, args []string) {
	window := frame.NoWindow
	if len(args) > 1 {
		window = frame.WindowFull
	}
	if args[0] == "echo" {
		f.echo.Open(l, c, window, nil)
		return
	}
	l.Become(c, 2)
	f.broadcast.Open(l, c, window, nil)
}

func TestTranscripts(t *testing.T) {
	for seed := range uint64(6) {
		prototest.Run(t, "testdata/*.txt", func(t *testing.T) prototest.Cast {
			f := newFixture(t, seed)
			return prototest.Cast{
				Node: f.Node, Role: 1, Open: f.open,
				Do: func(word, _ string, _ func(string) *netpolltest.Peer) bool {
					f.overload = word == "overload"
					return f.overload
				},
			}
		})
	}
}

// Sizes around those at which headers grow and echoes change their way, whole and split over reads
// and frames, in one stream.
func TestEchoOfEverySize(t *testing.T) {
	for seed := range uint64(4) {
		f := newFixture(t, seed)
		peer := f.Connect(1)
		f.Do(peer, func(l *netpoll.Loop, c *netpoll.Conn) { f.echo.Open(l, c, frame.WindowFull, nil) })
		var want []byte
		for i, n := range []int{0, 1, 125, 126, 127, 4090, 4091, 4092, 4096, 5000, 16384, 65535, 65536, 70000, 1 << 20, 3} {
			payload := bytes.Repeat([]byte{byte('a' + i)}, n)
			op := frame.OpText
			if i%2 == 1 {
				op = frame.OpBinary
			}
			peer.Write(frame.AppendMasked(nil, op, true, [4]byte{9, 8, 7, 6}, payload))
			want = frame.AppendFrame(want, op, payload)
			peer.Write(frame.AppendMasked(nil, op, false, [4]byte{9, 8, 7, 6}, payload[:n/2]))
			peer.Write(frame.AppendMasked(nil, frame.OpContinuation, true, [4]byte{1, 8, 7, 6}, payload[n/2:]))
			want = frame.AppendFrame(want, op, payload)
		}
		f.Settle()
		got := peer.Read()
		if !bytes.Equal(got, want) {
			t.Errorf("seed %d: got %d bytes, want %d; reasons %v", seed, len(got), len(want), f.Reasons)
		}
	}
}

func TestCompressedEcho(t *testing.T) {
	text := strings.Repeat("all work and no play ", 100)
	message := frame.AppendMasked(nil, frame.OpText, true, [4]byte{1, 2, 3, 4}, frame.AppendCompressed(nil, []byte(text), frame.WindowFull))
	message[0] |= 0x40
	for _, window := range []frame.Window{frame.WindowNarrow, frame.WindowFull} {
		f := newFixture(t, 0)
		peer := f.Connect(1)
		f.Do(peer, func(l *netpoll.Loop, c *netpoll.Conn) { f.echo.Open(l, c, window, nil) })
		peer.Write(message)
		f.Settle()
		want := wsconn.AppendDeflated(nil, frame.OpText, []byte(text), window)
		got := peer.Read()
		var r frame.Reader
		m, rest, err := r.Next(&frame.Options{Client: true, Deflate: true}, bytes.Clone(got))
		if err != nil || !m.Complete || !m.Compressed || string(m.Payload) != text || len(rest) > 0 || !bytes.Equal(got, want) {
			t.Errorf("window %d: got %d bytes, compressed %v (%v)", window, len(m.Payload), m.Compressed, err)
		}
	}
}

// From read to reply an echo costs no allocation.
func TestEchoDoesNotAllocate(t *testing.T) {
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		f := newFixture(t, 0)
		peer := f.Connect(1)
		message := frame.AppendMasked(nil, frame.OpBinary, true, [4]byte{1, 2, 3, 4}, make([]byte, size))
		buf := make([]byte, len(message))
		f.Do(peer, func(l *netpoll.Loop, c *netpoll.Conn) {
			f.echo.Open(l, c, frame.NoWindow, nil)
			// What a turn gathers lies in arenas that grow: hence the average.
			if n := testing.AllocsPerRun(50, func() {
				copy(buf, message)
				f.echo.OnData(l, c, buf)
			}); n != 0 {
				t.Errorf("an echo of %d bytes costs %v allocations", size, n)
			}
		})
		if got := len(peer.Read()); got < 51*size {
			t.Errorf("got %d bytes", got)
		}
	}
}
