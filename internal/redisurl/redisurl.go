// Package redisurl reads the URLs of Redis servers that c100k takes:
//
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
//	rediss://…                                        the same over TLS
//	redis-sentinel://[[USER]:PASSWORD@]HOST[:PORT],…/MASTER[/DATABASE]
//	redis-cluster://[[USER]:PASSWORD@]HOST[:PORT],…
//
// Where ?prefix=NAME follows, names of channels begin with it, so that several clusters of nodes
// can use one server. A password is that of the data servers.
package redisurl

import (
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
var Schemes = []string{"redis", "rediss", "redis-sentinel", "redis-cluster"}

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

// Parse reads a URL. It asks no name server, and its errors do not repeat what it is given.
func Parse(text string) (*URL, error) {
	p, err := split(text)
	if err != nil {
		return nil, err
	}
	u := &URL{}
	port := portDefault
	segments := strings.FieldsFunc(p.path, func(r rune) bool { return r == '/' })
	switch p.scheme {
	case "redis", "rediss":
		u.Option.ForceSingleClient = true
		if len(p.hosts) != 1 {
			return nil, errors.New("several hosts: those of a cluster are redis-cluster://A,B, those of Sentinel redis-sentinel://A,B/MASTER")
		}
	case "redis-sentinel":
		port = portSentinelDefault
		if len(segments) == 0 {
			return nil, errors.New("the name of the master is missing: redis-sentinel://HOST,HOST/MASTER")
		}
		u.Option.Sentinel.MasterSet, segments = segments[0], segments[1:]
	case "redis-cluster":
		u.Cluster = true
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
		if p.scheme == "rediss" {
			u.Option.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
		}
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
