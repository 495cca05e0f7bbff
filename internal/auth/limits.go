// Every bound of the package, with its unit and its reason.

package auth

import "time"

const (
	// expiresMax bounds how far away the end of a client's rights is counted on the clock of the
	// loops, which has 63 bits of nanoseconds: the year 3000 would be in the past.
	expiresMax = 100 * 365 * 24 * time.Hour

	// PatternBytesMax bounds one pattern, in bytes: as long as the longest topic.
	PatternBytesMax = 255

	// PatternsMax bounds the patterns of one client, over all of its lists: a look-up may try each,
	// on the loop. 256 take about 2 µs.
	PatternsMax = 256

	// JoinMax bounds the topics that a client joins when it connects: as many as one command of
	// c100k.v1 may name.
	JoinMax = 100

	// SubjectBytesMax bounds a subject, in bytes: it is one level of topics of at most 255. It
	// is repeated in logs, answers and patterns.
	SubjectBytesMax = 128

	// IDBytesMax bounds the id of a token (jti), in bytes: revocations keep it.
	IDBytesMax = 128

	// InfoBytesMax bounds what others see of a client in presence, in bytes of JSON: each member of
	// a topic receives it.
	InfoBytesMax = 2 << 10

	// ExpiringBefore is how long before its end a client is told that its token expires: time to get
	// another one.
	ExpiringBefore = 30 * time.Second

	// RevocationsMax bounds the revocations of a node. One takes about 300 bytes.
	RevocationsMax = 250_000

	// RevocationKept is how long a revocation is kept that does not say when its tokens have expired.
	RevocationKept = 30 * 24 * time.Hour

	// registryMax bounds the sets of rights that a Registry knows. Beyond it, it forgets all of
	// them: clients keep theirs, and the next ones share new copies. Without it, an issuer that
	// gives each client other lists would fill the memory.
	registryMax = 16384
)

// Bounds of tokens and their keys.
const (
	// TokenBytesMax bounds a token, in bytes. It is read before anything is known about its sender.
	TokenBytesMax = 8 << 10

	// claimsMax bounds the members of a token's claims, each of which is compared with all others.
	claimsMax = 64

	// kidBytesMax bounds the name of a key that a token may ask for, in bytes: it is logged.
	kidBytesMax = 256

	// keyFileBytesMax bounds a file of keys, in bytes: a device is not read for ever.
	keyFileBytesMax = 1 << 20

	// keysMax bounds the keys of one source. A token that names none is tried with each.
	keysMax = 64

	// SecretBytesMin is the length of the shortest secret, in bytes: RFC 7518, 3.2, wants as many
	// bits as the hash has, and a shorter one can be guessed from any token.
	SecretBytesMin = 32

	// rsaBitsMin is the size of the smallest RSA key, in bits: RFC 7518, 3.3.
	rsaBitsMin = 2048

	// jwksBytesMax bounds the answer with a set of keys, in bytes.
	jwksBytesMax = 256 << 10

	// jwksTimeout bounds one fetch of a set of keys. A token that waits for it waits no longer.
	jwksTimeout = 4 * time.Second

	// jwksRefreshEvery is how often the set is fetched in the background: a key that the issuer has
	// taken back is believed no longer than that.
	jwksRefreshEvery = 10 * time.Minute

	// jwksUnknownEvery is how often a token may cause a fetch, by a key that is not known. Without it
	// anybody could have the node flood the issuer.
	jwksUnknownEvery = 30 * time.Second

	// cacheSlots is how many verified tokens are remembered, a power of two. A token takes about
	// 400 bytes with its rights, so a full cache takes about 25 MB.
	cacheSlots = 1 << 16

	// cacheFor is how long a verified token is believed without another verification: as long as
	// clients take to come back after a restart. A key that was taken back counts no longer.
	cacheFor = time.Minute

	// instantMax is the last second of the year 9999: the times of a token lie before it, so that
	// arithmetic does not overflow.
	instantMax = 253402300799
)
