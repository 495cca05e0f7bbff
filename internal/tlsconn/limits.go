// The limits of the package: each with its unit and the reason for it.

package tlsconn

import "time"

const (
	// plainBytesMax bounds the plain bytes of a record: RFC 8446, 5.1; RFC 5246, 6.2.1.
	plainBytesMax = 1 << 14

	// sealedBytesMax13 and sealedBytesMax12 bound the length field of a record: RFC 8446, 5.2; RFC
	// 5246, 6.2.3.
	sealedBytesMax13 = plainBytesMax + 256
	sealedBytesMax12 = plainBytesMax + 2048

	// ticketsMax bounds the records that a handshake of TLS 1.3 may have written under the
	// application secret: tickets. crypto/tls writes one.
	ticketsMax = 8

	// uselessMax bounds the records in a row that carry no data: empty ones and warnings. Without
	// it a peer could keep a loop busy for nothing. crypto/tls has the same bound.
	uselessMax = 16

	// updatesBurst bounds how many KeyUpdates of a peer may come at once; one a second is earned
	// back. Each costs a few key derivations and perhaps an answer.
	updatesBurst = 16

	// recordsMax is after how many records under one key we send a KeyUpdate, or ask for one: below
	// the 2^24.5 full-size records of RFC 8446, 5.5.
	recordsMax = 1 << 24

	// helloBytesMax bounds a ClientHello on the wire in bytes, with the headers of its records. A
	// large one with post-quantum key shares has two thousand. It is kept until it is whole.
	helloBytesMax = 16 << 10

	// HandshakesMax bounds the handshakes of a process that have begun and are not over. Each holds
	// a goroutine and some 30 KB. Further ones wait in their records.
	HandshakesMax = 1024

	// shakeBytes is about what a handshake takes that waits for its turn, beside its ClientHello. It
	// counts in Layer.Held. What takes part of HandshakesMax does not: its sum has a small bound.
	shakeBytes = 512

	// workersIdleMax bounds the goroutines that wait for a next handshake, each with its stack.
	// workerIdle is how often those are ended that were not needed meanwhile.
	workersIdleMax = 32
	workerIdle     = 100 * time.Millisecond

	// waitingMax bounds the handshakes of a process that wait for their turn, each with its
	// ClientHello. Beyond it connections are closed.
	waitingMax = 32 << 10

	// stallMax is how long a handshake may wait for its peer while others wait for their turn.
	// Without it HandshakesMax clients that begin and stop would keep everybody out for the whole
	// handshake timeout.
	stallMax = time.Second

	// stallLook is how often that is checked while handshakes wait for their turn.
	stallLook = 100 * time.Millisecond

	// linger is how long a connection whose handshake has failed waits for the peer's FIN.
	linger = time.Second

	// cacheBytesMax bounds the AEADs that the connections of one loop keep, in bytes. Connections
	// beyond it make theirs anew for each use.
	cacheBytesMax = 16 << 20

	// cacheIdle is how long an AEAD is kept without being used, and cacheReplace how long at least
	// before it makes room for another one: with less, a fan-out to more members than the cache has
	// room for would replace each entry before it is used again.
	cacheIdle    = 4 * time.Second
	cacheReplace = 2 * time.Second

	// cacheSweepMax bounds how many entries of the cache one task of a loop looks at.
	cacheSweepMax = 4096

	// connReadBytes is by how many bytes the buffer of a Conn grows, and connReadBytesMin how many it
	// reads at least: a full record comes in two reads.
	connReadBytes    = 8 << 10
	connReadBytesMin = 1 << 10

	// connWriteBytes bounds what a Conn seals at a time, in plain bytes: four records.
	connWriteBytes = 64 << 10

	// closeTimeout bounds how long Conn.Close waits to send its closing record.
	closeTimeout = time.Second

	// stateBytesMax bounds the binary form of a State in bytes: an incomplete record, keys, and the
	// peer's certificates.
	stateBytesMax = 64 << 10

	// chainsMax bounds the verified chains in it.
	chainsMax = 8
)
