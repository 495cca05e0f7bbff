// Limits of the package, each with its unit and the reason for it.

package natsd

import "time"

const (
	// SecretBytesMin is what a cluster's secret must have: 32 letters of hex are 128 bits.
	SecretBytesMin = 32

	// secretBytesMax bounds what is read of a secret's file: a path that names something else must
	// not fill the memory.
	secretBytesMax = 4 << 10

	// startTimeout bounds the start of a server, with the recovery of its streams.
	startTimeout = 30 * time.Second

	// startCheckEvery is how soon it is known that the server cannot start.
	startCheckEvery = 50 * time.Millisecond

	// authTimeout bounds TLS and authorization of a route; without it a peer that accepts and says
	// nothing would hold it open.
	authTimeout = 2 * time.Second

	// routePingInterval and routePingsOutMax find a server that is cut off within three seconds.
	routePingInterval = time.Second
	routePingsOutMax  = 2

	// routeRetries is how often a server that another has told of is tried, about once a second, when
	// it is gone: a day. Those that are configured are tried for ever.
	routeRetries = 24 * 60 * 60

	// storeMemoryBytesMax bounds streams that are kept in memory where nobody makes them; zero would
	// mean three quarters of the machine.
	storeMemoryBytesMax = 1 << 20

	// storeBufferedMax bounds the messages that wait to be stored in one stream; the server refuses
	// more. Each process of a node may have 2048 on their way.
	storeBufferedMax = 1 << 17

	// lockTextMax bounds what is read of the lock of a directory, in bytes.
	lockTextMax = 64
)

const (
	clusterName = "c100k"
	clusterUser = "c100k"
)
