// Package peer is what the rival servers do alike beside their library: flags, the listening line,
// the end at TERM, and the bounds that are the same for all, so that they are compared at the same
// work.
//
// Every rival is a program of its own: the start-up, the pools and the goroutines of one library
// must not be in the process of another.
package peer

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	// MessageMax bounds a message from a client, in bytes. It is the default of c100k's --max-message;
	// without it a client could fill the memory.
	MessageMax = 64 << 10
	// LagMessagesMax bounds, in messages, how far a reader may lag where the library queues by number.
	// It is what gorilla's chat example has.
	LagMessagesMax = 256
	// LagBytesMax bounds it in bytes where the library counts those. It is the default of c100k's
	// --outbox.
	LagBytesMax = 1 << 20
	// WriteWait is how long one blocking write may last before its reader counts as gone.
	WriteWait = 10 * time.Second

	// HeadWait is from accept to the end of the request head; without it a silent client would hold a
	// goroutine for ever.
	HeadWait = 5 * time.Second
)

// Options are the flags that every rival has.
type Options struct {
	Addr string // address to listen on; port 0 takes a free one
	// Compress turns permessage-deflate on, without context takeover, where the program heeds it:
	// where it can compress a broadcast once, or where its library is asked for often enough that its
	// price is of interest.
	Compress bool
	Loops    int // threads that run Go code, and event loops where the library has them; at least 1
	// Cert and Key are files of a certificate, PEM: the program speaks TLS. Empty: plain text. The
	// programs that have no use for them do not know the flags.
	Cert, Key string

	end chan os.Signal
}

// TLSFlags adds --cert and --key. It is called before Parse, by the programs that speak TLS.
func (o *Options) TLSFlags() {
	flag.StringVar(&o.Cert, "cert", "", "file of a certificate, PEM: speak TLS")
	flag.StringVar(&o.Key, "key", "", "file of its key, PEM")
}

// Parse reads the flags for programs without TLS, as Options.Parse does.
func Parse() Options {
	var o Options
	o.Parse()
	return o
}

// Parse reads the flags, sets GOMAXPROCS to --loops, and listens for TERM from now on. Bad flags
// end the program with status 2.
func (o *Options) Parse() {
	o.end = make(chan os.Signal, 1)
	signal.Notify(o.end, syscall.SIGTERM, syscall.SIGINT)
	flag.StringVar(&o.Addr, "listen", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	flag.IntVar(&o.Loops, "loops", 0, "GOMAXPROCS, and the number of event loops where there are any; 0 means the cores")
	flag.BoolVar(&o.Compress, "compress", false, "permessage-deflate, in the programs that have it")
	flag.Parse()
	if flag.NArg() > 0 || o.Loops < 0 || (o.Cert == "") != (o.Key == "") {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(o.Loops) // 0 leaves it as it is
	o.Loops = runtime.GOMAXPROCS(0)
}

// Serve runs a rival that lives in net/http: it listens, says so, and ends the program at TERM. With
// --cert it is net/http with TLS as net/http sets it up, without HTTP/2: a WebSocket needs HTTP/1.1.
func (o Options) Serve(handler http.Handler) {
	l, err := o.Listen()
	Check(err)
	s := &http.Server{Handler: handler, ReadHeaderTimeout: HeadWait, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.ErrorLog = log.New(io.Discard, "", 0) // clients that leave in their handshake are no news
	go func() {
		if o.Cert != "" {
			Check(s.ServeTLS(l, o.Cert, o.Key))
		}
		Check(s.Serve(l))
	}()
	Ready(l.Addr())
	o.AwaitTerm()
}

// Ready says on standard output that connections to addr are accepted from now on.
func Ready(addr net.Addr) {
	fmt.Printf("listening on %s\n", addr)
}

// AwaitTerm returns when the process is told to end. There is no drain: a run is over by then.
func (o Options) AwaitTerm() {
	<-o.end
}

// Check ends the program when err is not nil: a rival either runs as it should or not at all.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
