// Where the target is.

package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Marks in a URL that stand for a connection's topic and for its number.
const (
	topicMark = "{topic}"
	indexMark = "{i}"
)

// schemePort are the schemes of a target, with the port of each.
var schemePort = map[string]string{"ws": "80", "http": "80", "wss": "443", "https": "443"}

// UnreachableError says that the target is not there, or refuses everybody.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach %s: %v", e.Address, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// parseTarget takes the URL of a target, marks and all.
func parseTarget(address string) (*url.URL, error) {
	target, err := url.Parse(fill(address, "topic", 0))
	if err != nil || target.Host == "" || schemePort[target.Scheme] == "" {
		return nil, usagef("%q is refused; allowed is a URL such as ws://127.0.0.1:8080/echo, wss://…, or http:// and https:// for Server-Sent Events", address)
	}
	_, rest, _ := strings.Cut(address, "://")
	if host, _, _ := strings.Cut(rest, "/"); strings.Contains(strings.SplitN(host, "?", 2)[0], "{") {
		return nil, usagef("%q is refused: marks are for the path and the query, not for the host", address)
	}
	return target, nil
}

// fill puts a topic and a number into a URL. The topic is escaped so that it is right in a path and
// in a query.
func fill(address, topic string, i int) string {
	address = strings.ReplaceAll(address, topicMark, escapeTopic(topic))
	return strings.ReplaceAll(address, indexMark, fmt.Sprint(i))
}

// escapeTopic escapes a topic for a path and a query alike; "." and ".." would be directories in a
// path.
func escapeTopic(topic string) string {
	if topic == "." || topic == ".." {
		return strings.ReplaceAll(topic, ".", "%2E")
	}
	return strings.ReplaceAll(url.QueryEscape(topic), "+", "%20")
}

// socketIOPath tells whether a URL is that of a Socket.IO server.
func socketIOPath(target *url.URL) bool { return strings.Contains(target.Path+"/", "/socket.io/") }

// lookup finds the addresses of a host, as net.Resolver.LookupNetIP does.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// resolve finds the first address of the target that takes a connection.
func resolve(ctx context.Context, target *url.URL) (netip.AddrPort, error) {
	all, _, err := resolveAll(ctx, target, net.DefaultResolver.LookupNetIP)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return all[0], nil
}

// resolveAll finds all addresses of the target that take a connection, in the order of the look-up,
// and silent ones that do not. Of a host that is on this machine under both versions of IP, as
// "localhost" is, only the IPv4 addresses are used where one answers: only there are source
// addresses in any number, and the server is the same.
func resolveAll(ctx context.Context, target *url.URL, find lookup) (answer, silent []netip.AddrPort, err error) {
	port := target.Port()
	if port == "" {
		port = schemePort[target.Scheme]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, nil, usagef("port %s of the URL is refused; allowed are 1 to 65535", port)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	addresses, err := find(ctx, "ip", target.Hostname())
	if err != nil {
		return nil, nil, &UnreachableError{target.Host, wordLookup(err)}
	}
	slices.SortStableFunc(addresses, func(a, b netip.Addr) int {
		return cmp.Compare(loopbackRank(a), loopbackRank(b))
	})
	addresses = addresses[:min(len(addresses), addressesMax)]
	errs := make([]error, len(addresses))
	var dials sync.WaitGroup
	for i, address := range addresses {
		dials.Go(func() { errs[i] = takesConnection(ctx, netip.AddrPortFrom(address.Unmap(), uint16(number))) })
	}
	dials.Wait()
	err = errors.New("it has no address")
	for i, address := range addresses {
		at := netip.AddrPortFrom(address.Unmap(), uint16(number))
		switch {
		case len(answer) > 0 && answer[0].Addr().IsLoopback() && at.Addr().Is4() != answer[0].Addr().Is4():
		case errs[i] != nil:
			silent, err = append(silent, at), errs[i]
		case !slices.Contains(answer, at):
			answer = append(answer, at)
		}
	}
	if len(answer) == 0 {
		return nil, nil, &UnreachableError{target.Host, wordDial(err)}
	}
	return answer, silent, nil
}

func takesConnection(ctx context.Context, at netip.AddrPort) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

func loopbackRank(a netip.Addr) int {
	if a.IsLoopback() && a.Unmap().Is4() {
		return 0
	}
	return 1
}

func wordLookup(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return errors.New("there is no host of that name")
	}
	return err
}

// wordDial shortens what package net says.
func wordDial(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nobody listens there")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", probeTimeout)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
