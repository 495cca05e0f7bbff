// The broker: a NATS server in the parent that the workers use.

package workers

import (
	"fmt"
	"log/slog"

	"c100k/internal/bus"
	"c100k/internal/natsd"
)

// startBroker starts a broker on loopback that takes payloads of messageBytesMax bytes. Its secret
// is sent to the workers over their links.
func startBroker(messageBytesMax int, log *slog.Logger) (*natsd.Server, error) {
	payload := max(messageBytesMax, bus.PacketBytesMax) + brokerHeadBytes
	b, err := natsd.Start(natsd.Options{
		Name: "c100k", PayloadBytesMax: payload, PendingBytesMax: max(brokerPendingMin, 4*int64(payload)),
		Label: "bus of the workers", Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the bus of the workers: %w", err)
	}
	return b, nil
}
