// Every bound of the package, with its unit and its reason.

package auth

const (
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

	// registryMax bounds the sets of rights that a Registry knows. Beyond it, it forgets all of
	// them: clients keep theirs, and the next ones share new copies. Without it, an issuer that
	// gives each client other lists would fill the memory.
	registryMax = 16384
)
