package main

// tls.go: the table of TLS: what is measured, on what, and the goals.

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"c100k/internal/certs"
)

// The names that the goals of TLS speak of, beside the node without it. nethttp is the rival on
// gorilla: until the upgrade it is net/http with TLS.
const (
	nodeTLS = "c100k TLS"
	nethttp = "gorilla TLS"
)

// The figures of the scenario handshake.
const (
	fullKey    = "full"
	resumedKey = "resumed"
)

// tlsFanBytes is the size of a message of the fan-out, in bytes.
const tlsFanBytes = 128

func tlsScenarios(sz size) []scenario {
	pick := map[string]scenario{}
	for _, sc := range scenarios(sz) {
		pick[sc.name] = sc
	}
	memory, echo, large, fan := pick["memory"], pick["echo"], pick["echo16k"], pick["fan"]
	fan.figures = us("fan-out 128 B to " + thousands(sz.fan))
	fan.turns = fanOut(sz, tlsFanBytes, sz.fan)
	fan.run = func(ctx context.Context, b *bench, s *server) (*sample, error) {
		return b.perMessage(ctx, s, fan.turns.args(b, s)...)
	}
	shakes := &turning{pace: sz.at(pace{400 * time.Millisecond, 0}), shakes: sz.shakes}
	handshake := scenario{name: "handshake", rivals: true, suits: func(t target) bool { return t.secure }, run: runShakes, turns: shakes,
		what:    "TCP, a TLS 1.3 handshake and the close, by the client of crypto/tls, sixteen at a time: X25519, ECDSA P-256, AES-128-GCM",
		figures: []figure{{fullKey, "full handshake, µs", 1}, {resumedKey, "resumed handshake, µs", 1}}}
	return []scenario{memory, handshake, echo, large, fan}
}

// tlsGoals are what TLS may cost.
func tlsGoals() []goal {
	against := func(work, scenario, key string, limit float64, against reference, name string) goal {
		return goal{work: work, scenario: scenario, key: key, of: nodeTLS, limit: limit, against: against, name: name}
	}
	return []goal{
		{work: "idle memory a connection, bytes", scenario: "memory", key: "bytes", of: nodeTLS, limit: 350, rivals: true},
		against("fan-out 128 B to 10,000, × plain", "fan", usKey, 1.35, theServer, nodeAuto),
		against("echo 64 B, × plain", "echo", usKey, 1.35, theServer, nodeAuto),
		against("echo 64 B, × the best rival", "echo", usKey, 0.7, bestRival, ""),
		against("echo 16 KiB, × the best rival", "echo16k", usKey, 1.15, bestRival, ""),
		against("full handshake, × net/http", "handshake", fullKey, 1.1, theServer, nethttp),
		{work: "resumed handshake, × full", scenario: "handshake", key: resumedKey, of: nodeTLS, limit: 0.85, against: otherFigure, other: [2]string{"handshake", fullKey}},
	}
}

// tlsTargets are the node with TLS and without it, and the rivals with TLS, all with one
// certificate: ECDSA P-256.
func tlsTargets(_ context.Context, root, dir string, o options) (all []target, skipped []string, err error) {
	pair, err := certs.Self(time.Now())
	if err != nil {
		return nil, nil, err
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, pair.Cert, 0o600), os.WriteFile(key, pair.Key, 0o600)); err != nil {
		return nil, nil, err
	}
	secured := node(nodeTLS, o.c100k, "auto", "--tls-cert", cert, "--tls-key", key)
	secured.secure = true
	all = []target{node(nodeAuto, o.c100k, "auto"), secured}
	peers := filepath.Join(root, "bench", "peers")
	versions, err := rivalVersions(peers)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range rivalsOf(peers, versions) {
		switch t.Name {
		case "gorilla", "gws", "nbio", "ws":
			all = append(all, t.with("--cert", cert, "--key", key))
		}
	}
	proxied := target{Name: "nginx", Kind: rival, Version: firstErrorLine("nginx", "-v"), argv: rivalArgv(peers, "nginx")}
	proxied = proxied.with("--cert", cert, "--key", key, "--node", o.c100k)
	proxied.several = true
	return append(all, proxied), nil, nil
}

// with is a rival with more arguments, which make it speak TLS.
func (t target) with(more ...string) target {
	plain := t.argv
	t.Name += " TLS"
	t.secure = true
	t.argv = func(addr string, loops int) []string { return append(plain(addr, loops), more...) }
	return t
}
