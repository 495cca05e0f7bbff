// How a run is split over processes and source addresses.

package loadgen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"c100k/loadgen/swarm"
)

// box is what of this machine bounds a plan.
type box struct {
	files int // descriptors that a process may open
	ports int // ephemeral ports of one source address
}

func thisBox() box {
	b := box{files: 1024, ports: 28232} // where neither can be read, what Linux comes with
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		b.files = int(min(limit.Cur, math.MaxInt32))
	}
	var low, high int
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(text), &low, &high); err == nil && high > low {
			b.ports = high - low + 1
		}
	}
	return b
}

// plan makes the spec of each process. The options are complete and the protocol is found.
func (b box) plan(o *Options, protocol swarm.Protocol, targets ...netip.AddrPort) ([]swarm.Spec, error) {
	fit := max(1, b.files-filesReserve)
	if o.ConnsPerProcess > 0 {
		fit = min(fit, o.ConnsPerProcess)
	}
	processes := (o.Conns + fit - 1) / fit
	if processes > processesMax {
		return nil, usagef("--conns %d would take %d processes, because one may open %d files; allowed are %d: raise the limit (ulimit -n)", o.Conns, processes, b.files, processesMax)
	}
	sources, err := b.sources(o, processes, targets)
	if err != nil {
		return nil, err
	}
	specs := make([]swarm.Spec, processes)
	run, first := rand.Uint32(), 0
	for i := range specs {
		conns := o.Conns / processes
		if i < o.Conns%processes {
			conns++
		}
		specs[i] = o.spec(protocol, targets[0])
		specs[i].Others = targets[1:]
		s := &specs[i]
		s.Run, s.Process, s.FirstConn, s.Conns = run, i, first, conns
		s.ConnectRate, s.Rate = share(o.ConnectRate, conns, o.Conns), share(o.Rate, conns, o.Conns)
		s.Sources = sources[i*len(sources)/processes : (i+1)*len(sources)/processes]
		first += conns
	}
	return specs, nil
}

// share is the part of a rate of the whole run that belongs to so many of its connections.
func share(rate float64, conns, all int) float64 { return rate * float64(conns) / float64(all) }

func (o *Options) spec(protocol swarm.Protocol, target netip.AddrPort) swarm.Spec {
	return swarm.Spec{
		AllConns: o.Conns, Mode: o.Mode, Protocol: protocol, URL: o.URL, Target: target, Header: o.Header, Insecure: o.Insecure, CA: o.CA, Cert: o.Cert, Key: o.Key,
		InFlight: o.inFlight(), Size: o.Size, Binary: o.Binary, Topics: o.topics(), Join: o.Join, Event: o.Event, Hello: o.Hello, Compress: o.Compress,
		Rounds:    o.waits(),
		SlowShare: o.slowShare(), Reconnect: !o.NoReconnect, Timeout: o.Timeout, Nap: o.Nap, IO: o.IO,
	}
}

// inFlight is the closed loop of each connection; that of listeners is their publisher's.
func (o *Options) inFlight() int {
	if hears(o.Mode) {
		return 0
	}
	return o.InFlight
}

func (o *Options) slowShare() float64 {
	if o.Mode == swarm.SlowReader {
		return o.SlowShare
	}
	return 0
}

// sources are the loopback addresses that connections come from, as many for each process; none
// where one address has ports for all.
//
// A connection is named by both addresses and both ports. Those that were closed by our side keep
// their name for a minute, so modes that close need more.
func (b box) sources(o *Options, processes int, targets []netip.AddrPort) ([]netip.Addr, error) {
	ports := b.ports * len(targets) // a port is taken for its destination alone
	each := max(1, int(float64(ports)*portsShare))
	names := o.Conns
	switch o.Mode {
	case swarm.Storm:
		names *= 2
	case swarm.Churn:
		names += int(min(o.Rate*60, 8*float64(each)))
		if o.Rate <= 0 {
			names += 8 * each
		}
	}
	if names <= each {
		return nil, nil
	}
	loopback := !slices.ContainsFunc(targets, func(a netip.AddrPort) bool { return !a.Addr().Is4() || !a.Addr().IsLoopback() })
	switch {
	case !loopback && o.Conns > ports:
		return nil, usagef("--conns %d need more than the %d ports that one source address has (net.ipv4.ip_local_port_range), and only for a target in 127.0.0.0/8 "+
			"can more addresses be used; widen the range, or share the load out among several machines", o.Conns, b.ports)
	case !loopback:
		return nil, nil
	}
	perProcess := (names + processes*each - 1) / (processes * each)
	if perProcess*processes > sourcesMax {
		return nil, usagef("--conns %d would need %d source addresses; allowed are %d", o.Conns, perProcess*processes, sourcesMax)
	}
	sources := make([]netip.Addr, perProcess*processes)
	for i := range sources {
		sources[i] = netip.AddrFrom4([4]byte{127, 0, byte((i + 1) >> 8), byte(i + 1)})
	}
	return sources, nil
}
