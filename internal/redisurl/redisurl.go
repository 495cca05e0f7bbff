// Package redisurl reads the addresses of Redis that settings have: one server, Sentinels, or a
// cluster.
package redisurl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/redis/rueidis"
)

// Forms says which addresses Parse takes, for messages.
const Forms = "redis://USER:PASSWORD@HOST:PORT/DATABASE, redis-sentinel://HOST:PORT,HOST:PORT/MASTER, redis-cluster://HOST:PORT,HOST:PORT, " +
	"each with rediss for TLS, and unix:///PATH"

// errForm is returned by Parse; it does not repeat the address, which may have a password.
var errForm = errors.New("not an address of Redis: allowed are " + Forms)

// Default ports.
const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// Is reports whether an address is one of Redis, by its scheme.
func Is(raw string) bool {
	scheme, _, ok := strings.Cut(raw, "://")
	return ok && (strings.HasPrefix(scheme, "redis") || scheme == "unix")
}

// Parse reads an address. The options have no cache, and no other timeouts than those of the
// package.
func Parse(raw string) (opt rueidis.ClientOption, err error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return opt, errForm
	}
	kind, secure := strings.TrimPrefix(scheme, "redis"), false
	if strings.HasPrefix(kind, "s") && kind != "s" {
		kind, secure = kind[1:], true
	}
	switch kind {
	case "", "s", "unix":
		if opt, err = rueidis.ParseURL(raw); err != nil {
			return opt, errForm
		}
		opt.ForceSingleClient = true
	case "-cluster":
		if opt, err = parseList(rest, redisPort); err != nil {
			return opt, err
		}
		opt.ShuffleInit = true
	case "-sentinel":
		list, master, ok := strings.Cut(rest, "/")
		if !ok || master == "" || strings.ContainsAny(master, "/?#") {
			return opt, errors.New("the name of the master is missing: redis-sentinel://HOST:PORT,HOST:PORT/MASTER")
		}
		if opt, err = parseList(list, sentinelPort); err != nil {
			return opt, err
		}
		opt.Sentinel.MasterSet = master
	default:
		return opt, errForm
	}
	if secure {
		opt.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		opt.Sentinel.TLSConfig = opt.TLSConfig
	}
	opt.DisableCache = true
	return opt, nil
}

// parseList reads USER:PASSWORD@HOST:PORT,HOST:PORT.
func parseList(list, port string) (opt rueidis.ClientOption, err error) {
	if at := strings.LastIndex(list, "@"); at >= 0 {
		u, err := url.Parse("redis://" + list[:at] + "@host")
		if err != nil {
			return opt, errForm
		}
		opt.Username = u.User.Username()
		opt.Password, _ = u.User.Password()
		list = list[at+1:]
	}
	for _, address := range strings.Split(strings.TrimSuffix(list, "/"), ",") {
		host, p, err := net.SplitHostPort(address)
		if err != nil {
			host, p = strings.Trim(address, "[]"), port
		}
		if host == "" || strings.ContainsAny(host, "/?#@") {
			return opt, errForm
		}
		opt.InitAddress = append(opt.InitAddress, net.JoinHostPort(host, p))
	}
	return opt, nil
}

// Redacted returns an address without its password.
func Redacted(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	at := strings.LastIndex(rest, "@")
	if !ok || at < 0 {
		return raw
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	if hasPassword {
		user += ":xxxxx"
	}
	return fmt.Sprintf("%s://%s@%s", scheme, user, rest[at+1:])
}
