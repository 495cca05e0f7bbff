// The bounds of the queue in front of the collector, each with its unit and its reason.

package spans

import "time"

const (
	// queuedMax bounds the spans that wait to be sent, about 1 KB each. Without it a collector that
	// does not answer would fill the memory of the node.
	queuedMax = 2048

	// batchMax is how many spans one request to the collector has at most.
	batchMax = 512

	// sendEvery is how long a span waits for others at most.
	sendEvery = 2 * time.Second

	// sendTimeout bounds one request to the collector. Meanwhile the queue takes spans.
	sendTimeout = 10 * time.Second

	// closeTimeout bounds how long the end of the node waits for the last spans.
	closeTimeout = 2 * time.Second

	// complainEvery is how often a collector that does not take spans is logged at most.
	complainEvery = time.Minute
)
