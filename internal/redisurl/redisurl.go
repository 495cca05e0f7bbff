// Package redisurl reads the URLs of Redis servers that c100k takes:
//
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
//	rediss://…                                        the same over TLS
//	redis-sentinel://[[USER]:PASSWORD@]HOST[:PORT],…/MASTER[/DATABASE]
//	redis-cluster://[[USER]:PASSWORD@]HOST[:PORT],…
//	rediss-sentinel://…, rediss-cluster://…           the same over TLS
//	unix:///PATH                                      a socket of this machine
//
// Where ?prefix=NAME follows, names of channels begin with it, so that several clusters of nodes
// can use one server. A password is that of the data servers.
package redisurl

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// URL is one that was read.
type URL struct {
	Cluster bool   // Redis Cluster
	Prefix  string // of the names of channels; empty: not given

	// Option has what the URL says. The caller adds deadlines and buffers.
	Option rueidis.ClientOption
}

// Schemes are those of the URLs.
var Schemes = []string{"redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster", "unix"}

// Forms says which URLs are taken, for messages.
const Forms = "redis://USER:PASSWORD@HOST:PORT/DATABASE, redis-sentinel://HOST:PORT,HOST:PORT/MASTER, redis-cluster://HOST:PORT,HOST:PORT, " +
	"each with rediss for TLS, and unix:///PATH"

const (
	portDefault         = "6379"
	portSentinelDefault = "26379"
	hostsMax            = 64  // enough to find one that runs
	databaseMax         = 1e6 // more than any server has
	prefixBytesMax      = 64
)

// parts is a URL before it is judged.
type parts struct {
	scheme, path string
	user         *url.Userinfo
	hosts        []string
	query        url.Values
}

// Parse reads a URL for callers that have prefixes of their own. Its errors do not repeat what it
// is given.
func Parse(text string) (rueidis.ClientOption, error) {
	u, err := Read(text)
	if err != nil {
		return rueidis.ClientOption{}, err
	}
	return u.Option, nil
}

// Read reads a URL. It asks no name server, and its errors do not repeat what it is given.
func Read(text string) (*URL, error) {
	p, err := split(text)
	if err != nil {
		return nil, err
	}
	u := &URL{Option: rueidis.ClientOption{DisableCache: true}}
	if p.scheme == "unix" {
		return u, u.takeSocket(p)
	}
	port := portDefault
	segments := strings.FieldsFunc(p.path, func(r rune) bool { return r == '/' })
	switch kind := strings.TrimPrefix(p.scheme, "rediss"); strings.TrimPrefix(kind, "redis") {
	case "":
		u.Option.ForceSingleClient = true
		if len(p.hosts) != 1 {
			return nil, errors.New("several hosts: those of a cluster are redis-cluster://A,B, those of Sentinel redis-sentinel://A,B/MASTER")
		}
	case "-sentinel":
		port = portSentinelDefault
		if len(segments) == 0 {
			return nil, errors.New("the name of the master is missing: redis-sentinel://HOST,HOST/MASTER")
		}
		u.Option.Sentinel.MasterSet, segments = segments[0], segments[1:]
	case "-cluster":
		u.Cluster, u.Option.ShuffleInit = true, true
		if len(segments) > 0 {
			return nil, errors.New("a cluster has no databases: something stands behind the hosts")
		}
	}
	if len(segments) > 1 {
		return nil, errors.New("something stands behind the database")
	}
	if len(segments) == 1 {
		n, err := strconv.Atoi(segments[0])
		if err != nil || n < 0 || n > databaseMax {
			return nil, errors.New("the database is not a number")
		}
		u.Option.SelectDB = n
	}
	if err := u.takeHosts(p, port); err != nil {
		return nil, err
	}
	return u, u.takeQuery(p.query)
}

// split takes a URL apart. net/url refuses several hosts with ports, so they are split here.
func split(text string) (parts, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return parts{}, errors.New("not a URL")
	}
	known := false
	for _, s := range Schemes {
		known = known || s == scheme
	}
	if !known {
		return parts{}, fmt.Errorf("the scheme is none of %s", strings.Join(Schemes, ", "))
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at+1], authority[at+1:]
	}
	u, err := url.Parse("redis://" + user + "host" + tail)
	if err != nil || u.Fragment != "" {
		return parts{}, errors.New("not a URL")
	}
	return parts{scheme: scheme, path: u.Path, user: u.User, hosts: strings.Split(hosts, ","), query: u.Query()}, nil
}

func (u *URL) takeHosts(p parts, port string) error {
	if len(p.hosts) > hostsMax {
		return fmt.Errorf("%d hosts; allowed are %d", len(p.hosts), hostsMax)
	}
	for _, h := range p.hosts {
		host, ownPort, err := net.SplitHostPort(h)
		if err != nil { // without a port
			host, ownPort = strings.TrimSuffix(strings.TrimPrefix(h, "["), "]"), port
		}
		if n, err := strconv.Atoi(ownPort); host == "" || strings.ContainsAny(host, " []") || err != nil || n < 1 || n > 65535 {
			return errors.New("not of the form HOST:PORT")
		}
		u.Option.InitAddress = append(u.Option.InitAddress, net.JoinHostPort(host, ownPort))
	}
	if strings.HasPrefix(p.scheme, "rediss") {
		u.Option.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // the name is that of each host
		u.Option.Sentinel.TLSConfig = u.Option.TLSConfig
	}
	if p.user != nil {
		password, ok := p.user.Password()
		if !ok || password == "" {
			return errors.New("no password stands before the @: USER:PASSWORD@ or :PASSWORD@")
		}
		u.Option.Username, u.Option.Password = p.user.Username(), password
	}
	return nil
}

// takeSocket reads unix:///PATH.
func (u *URL) takeSocket(p parts) error {
	if p.path == "" || p.hosts[0] != "" || p.user != nil || len(p.query) > 0 {
		return errors.New("not of the form unix:///PATH")
	}
	path := p.path
	u.Option.ForceSingleClient, u.Option.InitAddress = true, []string{path}
	u.Option.DialCtxFn = func(ctx context.Context, _ string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
		return d.DialContext(ctx, "unix", path)
	}
	return nil
}

func (u *URL) takeQuery(q url.Values) error {
	for name, values := range q {
		if name != "prefix" || len(values) != 1 {
			return errors.New("behind the ? stands something else than prefix=NAME")
		}
		u.Prefix = values[0]
		if u.Prefix == "" || len(u.Prefix) > prefixBytesMax || strings.ContainsAny(u.Prefix, "{}") {
			return fmt.Errorf("the prefix has 1 to %d bytes, without braces", prefixBytesMax)
		}
	}
	return nil
}

// Is tells whether text begins with one of Schemes.
func Is(text string) bool {
	for _, s := range Schemes {
		if strings.HasPrefix(text, s+":") {
			return true
		}
	}
	return false
}

// Redacted is text without the password, fit for logs.
func Redacted(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "(not a URL)"
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		return scheme + "://" + user + ":xxxxx" + rest[at:]
	}
	return text
}
