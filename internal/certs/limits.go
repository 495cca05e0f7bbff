// The bounds of the package, each with its unit and its reason.

package certs

import "time"

const (
	// PairsMax bounds the certificates of a node. Each is parsed by every worker at every change,
	// and is a label of a metric.
	PairsMax = 256

	// fileBytesMax bounds a file of certificates or keys, in bytes. Without it a wrong path, such as
	// that of a device, would fill the memory. A bundle of all public authorities has 220 KB.
	fileBytesMax = 1 << 20

	// ticketKeysMax bounds the keys of session tickets. A ticket names its key, but each key is an
	// entry that is looked through at every resumption.
	ticketKeysMax = 16

	// ticketRotation is how long a key that this node has made seals new tickets, and ticketLifetime
	// how long it opens old ones. RFC 8446, 4.6.1: a ticket lives for seven days at most.
	ticketRotation = 24 * time.Hour
	ticketLifetime = 7 * 24 * time.Hour

	// settleTime is how long the source waits after a change of a file before it reads. A
	// certificate and its key are replaced one after the other, and in between they do not match.
	settleTime = 250 * time.Millisecond

	// checkEvery is how often the dates of certificates are compared with the clock, and warnEvery
	// how often one kind of warning about a certificate is repeated.
	checkEvery = time.Minute
	warnEvery  = 24 * time.Hour

	// SoonShare is the part of its lifetime that a certificate has left when the node begins to warn,
	// at most soonMax: one for 90 days is renewed 30 days before its end as a rule.
	soonShare = 6
	soonMax   = 14 * 24 * time.Hour

	// devLifetime is how long the certificate of --dev-tls is good.
	devLifetime = 30 * 24 * time.Hour

	// challengesMax bounds the handshakes that look for the certificate of an ACME challenge at the
	// same time: each reads the storage. An authority sends a handful.
	challengesMax = 8

	// challengeTimeout bounds such a look.
	challengeTimeout = 5 * time.Second
)
