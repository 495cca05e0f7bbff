// Traces of publishes and hooks for a collector of OpenTelemetry.

package server

import (
	"os"

	"c100k/internal/bus"
	"c100k/internal/spans"
	"c100k/internal/version"
)

// otlpSampleDefault is the part that is traced where nobody has asked: a node publishes thousands
// of messages a second, and a hundredth shows how long they take.
const otlpSampleDefault = 0.01

// NewTracer makes what sends the traces of the configuration; nil, which traces nothing, where it
// has no collector. It must be closed. The error names the field that is wrong.
func (c *Config) NewTracer() (*spans.Tracer, error) {
	if c.OTLP == "" {
		return nil, nil
	}
	t, err := spans.New(spans.Options{URL: c.OTLP, Sample: max(c.OTLPSample, 0), Node: bus.NodeName(os.Getpid()),
		Version: version.Get().Version, Logger: c.Logger})
	if err != nil {
		return nil, &SettingError{"OTLP", err}
	}
	return t, nil
}
