// Command easygo is the rival on gobwas/ws with mailru/easygo's netpoll: the recipe of "A Million
// WebSockets and Go". A poller says which connections can be read, and goroutines of a pool read
// and answer them, so that an idle connection has neither goroutine nor buffer.
//
//   - the raw Epoll, with one-shot events as in the recipe, and not Handle and Desc: those
//     duplicate every descriptor, which halves how many connections a process may have, and each
//     use of the duplicate turns the socket blocking again, so that a slow reader holds a thread;
//   - 128 goroutines in the pool, as in the authors' example. --workers 0 answers on the poller's
//     goroutine: that is faster for work as small as this, and no longer the recipe;
//   - --loops pollers, connections dealt out in turn;
//   - handshake, frames, broadcast and --each as in command gobwas, by the same package wire.
package main

import (
	"flag"
	"net"
	"sync"

	"c100k-peers/peer"
	"c100k-peers/wire"

	"github.com/mailru/easygo/netpoll"
)

// readable is the event of the recipe: once, until it is asked for again.
const readable = netpoll.EPOLLIN | netpoll.EPOLLRDHUP | netpoll.EPOLLONESHOT

var room wire.Room

func main() {
	workers := flag.Int("workers", 128, "goroutines that read and answer; 0: the poller's own")
	o := peer.Parse()
	run := func(task func()) { task() }
	if *workers > 0 {
		run = pool(*workers)
	}
	pollers := make([]*netpoll.Epoll, o.Loops)
	for i := range pollers {
		p, err := netpoll.EpollCreate(&netpoll.EpollConfig{OnWaitError: peer.Check})
		peer.Check(err)
		pollers[i] = p
	}
	l, err := o.Listen()
	peer.Check(err)
	peer.Ready(l.Addr())
	accepted := 0
	go peer.Accept(l, func(conn *net.TCPConn) {
		accepted++
		if serve(conn, pollers[accepted%len(pollers)], run) != nil {
			conn.Close()
		}
	})
	o.AwaitTerm()
}

// pool starts n goroutines and returns how to give them work. It waits when all of them are busy,
// as the recipe's does.
func pool(n int) (run func(task func())) {
	tasks := make(chan func(), 1)
	for range n {
		go func() {
			for task := range tasks {
				task()
			}
		}()
	}
	return func(task func()) { tasks <- task }
}

// serve puts a connection into the poller. From then on it is read when the poller says so, by one
// goroutine at a time: the event is one-shot.
func serve(conn *net.TCPConn, poller *netpoll.Epoll, run func(task func())) error {
	c, err := wire.NewConn(conn, &room)
	if err != nil {
		return err
	}
	fd, err := descriptor(conn)
	if err != nil {
		return err
	}
	again := func() { poller.Mod(fd, readable) }
	end := func() {
		poller.Del(fd) // before the number can go to another connection
		conn.Close()
	}
	var mu sync.Mutex // one at a time anyway; it tells Go so, which does not see what epoll orders
	turn := func() {
		mu.Lock()
		alive := c.Turn(false)
		mu.Unlock()
		if alive {
			c.WhenDrained(again)
		} else {
			c.WhenDrained(end)
		}
	}
	return poller.Add(fd, readable, func(netpoll.EpollEvent) { run(turn) })
}

// descriptor is the socket's own, which stays non-blocking, and valid until conn is closed.
func descriptor(conn *net.TCPConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(d uintptr) { fd = int(d) })
	return fd, err
}
