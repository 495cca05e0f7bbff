// How a program uses the reactor alone: an echo server for bytes.

package netpoll_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"c100k/netpoll"
)

// echoing sends back what comes. Its methods run on the loop and must not block.
type echoing struct{}

func (echoing) OnOpen(l *netpoll.Loop, c *netpoll.Conn)           { l.Arm(c, time.Minute) }
func (echoing) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) { l.Send(c, p) }
func (echoing) OnTimer(l *netpoll.Loop, c *netpoll.Conn)          { l.Close(c, netpoll.ReasonTimeout) }
func (echoing) OnWritable(*netpoll.Loop, *netpoll.Conn)           {}
func (echoing) OnClose(*netpoll.Loop, *netpoll.Conn, netpoll.Reason) {
}

// A loop with one protocol, and an acceptor that gives it connections. Other goroutines reach the
// loop by its Remote.
func ExampleNewLoop() {
	opt := netpoll.Options{}
	opt.Handlers[0] = echoing{}
	loop, err := netpoll.NewLoop(opt)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Stop()
	if err := loop.Start(); err != nil {
		fmt.Println(err)
		return
	}
	acceptor, err := netpoll.NewAcceptor(netpoll.AcceptorOptions{Loops: []*netpoll.Loop{loop}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer acceptor.Close()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // as Acceptor.Listen asks for
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	if err := acceptor.Listen(ln.(*net.TCPListener), time.Minute); err != nil {
		fmt.Println(err)
		return
	}

	client, err := new(net.Dialer).DialContext(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	answer := make([]byte, len("hello"))
	if _, err = client.Write([]byte("hello")); err == nil {
		_, err = io.ReadFull(client, answer)
	}
	fmt.Println(string(answer), err)

	conns := make(chan int)
	loop.Remote().Post(func(l *netpoll.Loop) { conns <- l.Len() })
	fmt.Println("connections:", <-conns)
	// Output:
	// hello <nil>
	// connections: 1
}
