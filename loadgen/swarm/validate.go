// What makes a Spec one that can be run.

package swarm

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Validate names the first thing that is wrong. Any goroutine.
func (p *Spec) Validate() error {
	if err := p.validateFields(); err != nil {
		return err
	}
	if _, err := newRequest(p); err != nil {
		return err
	}
	_, err := newJoin(p)
	return err
}

func (p *Spec) validateFields() error {
	switch {
	case p.Conns < 1:
		return fmt.Errorf("conns %d: at least 1", p.Conns)
	case p.FirstConn < 0 || p.AllConns < p.FirstConn+p.Conns:
		return fmt.Errorf("all_conns %d: connections %d to %d are not among them", p.AllConns, p.FirstConn, p.FirstConn+p.Conns-1)
	case p.Size < TokenBytes || p.Size > MessageBytesMax:
		return fmt.Errorf("size %d: %d to %d bytes", p.Size, TokenBytes, MessageBytesMax)
	case p.ConnectRate < 0 || p.Rate < 0 || p.InFlight < 0:
		return fmt.Errorf("a rate or in_flight is negative")
	case p.Rate > 0 && p.InFlight > 0:
		return fmt.Errorf("rate and in_flight exclude each other: an open schedule or a closed loop")
	case p.SlowShare < 0 || p.SlowShare > 1:
		return fmt.Errorf("slow_share %v: 0 to 1", p.SlowShare)
	case p.Timeout <= 0 || p.Timeout > time.Hour:
		return fmt.Errorf("timeout %v: above 0, at most an hour", p.Timeout)
	case p.Nap < 0 || p.Nap > napMax:
		return fmt.Errorf("nap %v: at least 0, at most %v", p.Nap, napMax)
	case !p.Target.IsValid() || p.Target.Port() == 0:
		return fmt.Errorf("target %v: an address and a port", p.Target)
	}
	for _, other := range p.Others {
		if !other.IsValid() || other.Port() == 0 {
			return fmt.Errorf("others %v: addresses and ports", other)
		}
	}
	for _, source := range p.Sources {
		for _, target := range append([]netip.AddrPort{p.Target}, p.Others...) {
			if source.Unmap().Is4() != target.Addr().Unmap().Is4() {
				return fmt.Errorf("source %v cannot reach target %v", source, target)
			}
		}
	}
	for _, line := range p.Header {
		if line[0] == "" || strings.ContainsAny(line[0]+line[1], "\r\n\x00") || strings.ContainsAny(line[0], ": \t") {
			return fmt.Errorf("header %q: %q: not a header line", line[0], line[1])
		}
	}
	return p.validateMode()
}

// validateMode holds the mode against the protocol.
func (p *Spec) validateMode() error {
	switch p.Protocol {
	case Raw, V1, SocketIO, SSE:
	default:
		return fmt.Errorf("protocol %q: raw, c100k.v1, socketio or sse", p.Protocol)
	}
	speaks := false
	switch p.Mode {
	case Echo, Publish:
		speaks = true
	case Idle, Subscribe, Churn, SlowReader, Storm, Recover:
	default:
		return fmt.Errorf("mode %q: echo, idle, subscribe, publish, churn, slow-reader, recover or storm", p.Mode)
	}
	switch {
	case speaks && p.Protocol == SSE:
		return fmt.Errorf("mode %s: a client of sse says nothing", p.Mode)
	case speaks && p.Protocol == V1 && len(p.Topics) == 0:
		return fmt.Errorf("mode %s: %s needs topics", p.Mode, V1)
	case p.InFlight > 0 && p.Mode != Echo && !(p.Mode == Publish && p.Protocol == V1):
		return fmt.Errorf("in_flight: in mode %s, %s has no answer to wait for", p.Mode, p.Protocol)
	case p.Mode == Recover && (p.Protocol == Raw || p.Protocol == V1 && len(p.Topics) == 0):
		return fmt.Errorf("mode %s: %s has no positions, and %s needs topics", p.Mode, Raw, V1)
	case p.Hello != "" && p.Protocol != Raw:
		return fmt.Errorf("hello: %s has a beginning of its own", p.Protocol)
	case p.Compress && p.Protocol == SSE:
		return fmt.Errorf("compress: %s is no WebSocket", p.Protocol)
	case p.Rounds && (speaks || len(p.Topics) > 1):
		return fmt.Errorf("rounds: in a mode that listens, of one topic")
	case p.Event != "" && p.Protocol != SocketIO:
		return fmt.Errorf("event: only %s has events", SocketIO)
	case p.Binary && (p.Protocol == V1 || p.Protocol == SSE):
		return fmt.Errorf("binary: %s has no binary messages", p.Protocol)
	}
	return nil
}
