// Which certificate answers which name.

package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// index finds certificates by the name that a client asks for. It is immutable; any goroutine.
type index struct {
	all   []*tls.Certificate
	names map[string][]*tls.Certificate // in lower case, with "*." for one level
}

// errNone says that there is no certificate at all: ACME has not got one yet.
var errNone = errors.New("no certificate yet")

// newIndex makes it. The first certificate is the default.
func newIndex(all []*tls.Certificate) *index {
	x := &index{all: all, names: make(map[string][]*tls.Certificate)}
	for _, c := range all {
		names := c.Leaf.DNSNames
		if len(names) == 0 && len(c.Leaf.IPAddresses) == 0 && c.Leaf.Subject.CommonName != "" {
			names = []string{c.Leaf.Subject.CommonName}
		}
		for _, name := range names {
			name = strings.ToLower(name)
			x.names[name] = append(x.names[name], c)
		}
	}
	return x
}

// find is the certificate for a ClientHello: of those with its name the first that the client can
// use, then of those with a wildcard for it, and else of all. A name that nothing matches gets the
// default: the client says better than we why it does not want it.
func (x *index) find(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(x.all) == 0 {
		return nil, errNone
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	candidates := x.names[name]
	if len(candidates) == 0 {
		if _, parent, ok := strings.Cut(name, "."); ok {
			candidates = x.names["*."+parent]
		}
	}
	if len(candidates) == 0 {
		candidates = x.all
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	for _, c := range candidates {
		if supports(hello, c) {
			return c, nil
		}
	}
	return candidates[0], nil
}

// supports tells whether the client can use a certificate, whatever its name.
func supports(hello *tls.ClientHelloInfo, c *tls.Certificate) bool {
	anyName := *hello
	anyName.ServerName = ""
	return anyName.SupportsCertificate(c) == nil
}

// labels names certificates so that no two are called the same.
func labels(all []*tls.Certificate) []string {
	names := make([]string, len(all))
	times := map[string]int{}
	for i, c := range all {
		name := NameOf(c.Leaf)
		if times[name]++; times[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, times[name])
		}
		names[i] = name
	}
	return names
}
