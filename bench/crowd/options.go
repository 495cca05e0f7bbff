// How large everything is.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"c100k/internal/certs"
)

type options struct {
	binary, workers, only, out, name string
	conns                            int
	soak                             time.Duration
	quick                            bool
	tls                              bool
	cert, key                        string // files of a certificate for this run; empty: plain
}

const (
	// othersCount are the clients that listen beside those that open and are dropped, othersRate the
	// messages a second that each of them gets, and othersWaitMax how long one may be on its way, in
	// milliseconds.
	othersCount   = 10
	othersRate    = 20
	othersWaitMax = 1000

	messageBytes = 128
	topicCount   = 20
	// spareShare is what a node of as many workers as it takes may hold beyond the connections that
	// come.
	spareShare = 0.15
	// smallShare is the crowd that the large one is compared with.
	smallShare = 0.1
)

// The step resume: what is published a second, and what comes behind the return.
const (
	resumeRate = 8
	resumeRest = 12 * time.Second
)

// away is how long connections of the step resume are cut off.
func (o options) away() time.Duration {
	if o.quick {
		return time.Second
	}
	return 12600 * time.Millisecond
}

// missed is how many messages they miss meanwhile, at least.
func (o options) missed() int { return int(resumeRate * o.away().Seconds()) }

// durations of the measured parts, in full and in quick runs.
func (o options) span(full, quick time.Duration) string {
	if o.quick {
		return quick.String()
	}
	return full.String()
}

// hold is longer than two heartbeats, so that every connection has answered at least one.
func (o options) lookFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 12 * time.Second
}
func (o options) hold() string       { return o.span(65*time.Second, 2*time.Second) }
func (o options) publishFor() string { return o.span(24*time.Second, 2*time.Second) }
func (o options) topicsFor() string  { return o.span(time.Minute, 2*time.Second) }
func (o options) stormFor() string   { return o.span(10*time.Second, 2*time.Second) }
func (o options) killFor() string    { return o.span(30*time.Second, 6*time.Second) }
func (o options) soakFor() string    { return o.span(o.soak, min(o.soak, 2*time.Second)) }

// scheme is that of the clients' addresses.
func (o options) scheme() string {
	if o.tls {
		return "wss"
	}
	return "ws"
}

// openWithin is the goal for all to be open, in seconds; memoryMax that for the private memory of
// all processes of the node, in MB.
func (o options) openWithin() float64 {
	if o.tls {
		return 240
	}
	return 60
}

func (o options) memoryMax() float64 {
	if o.tls {
		return 250
	}
	return 200
}

// backWithin is the goal for all to be back after a storm, in seconds. Two processors make some
// hundred TLS handshakes a second at both ends.
func (o options) backWithin() float64 {
	if o.tls {
		return 200
	}
	return 60
}

// certify makes the certificate of a run with TLS, in a directory.
func (o *options) certify(dir string) error {
	pair, err := certs.Self(time.Now())
	if err != nil {
		return err
	}
	o.cert, o.key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return errors.Join(os.WriteFile(o.cert, pair.Cert, 0o600), os.WriteFile(o.key, pair.Key, 0o600))
}

// killAfter is how long a worker works before it is killed.
func (o options) killAfter() time.Duration {
	if o.quick {
		return time.Second
	}
	return 5 * time.Second
}

// publishRate gives every crowd the same number of deliveries a second, a publish to the whole one
// every four seconds.
func (o options) publishRate(conns int) string {
	every := 0.25
	if o.quick {
		every = 1
	}
	return fmt.Sprintf("%.4g/s", every*float64(o.conns)/float64(conns))
}

func (o options) small() int { return max(topicCount, int(float64(o.conns)*smallShare)) }

// maxConns leaves room for the clients of one worker with the others, until it is back: a worker
// takes its even share and little more.
func (o options) maxConns() int {
	if workers, err := strconv.Atoi(o.workers); err == nil && workers > 1 {
		return o.conns * workers / (workers - 1)
	}
	return o.conns + int(float64(o.conns)*spareShare)
}
