// The log of histograms, which the tools around HdrHistogram read.

package report

import (
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// WriteHDR writes the histograms of every second, in nanoseconds, tagged "connect" and "latency",
// in the log format of HdrHistogram. A document that was read from a file has none.
func (d *Document) WriteHDR(w io.Writer) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	base := d.Result.Started.Truncate(time.Second).UnixMilli() // the log has it in whole seconds
	log.SetBaseTime(base)
	for _, write := range []func() error{
		func() error { return log.OutputComment(fmt.Sprintf("[%s, nanoseconds]", d.Program)) },
		log.OutputLogFormatVersion,
		func() error { return log.OutputStartTime(base) },
		func() error { return log.OutputBaseTime(base) },
		log.OutputLegend,
	} {
		if err := write(); err != nil {
			return err
		}
	}
	for _, interval := range d.Result.Intervals() {
		h, err := interval.Packed.Unpack()
		if err != nil {
			return fmt.Errorf("histogram of %v: %w", interval.Start.Format(time.TimeOnly), err)
		}
		h.SetTag(interval.Tag)
		h.SetStartTimeMs(interval.Start.UnixMilli())
		h.SetEndTimeMs(interval.End.UnixMilli())
		if err := log.OutputIntervalHistogram(h); err != nil {
			return err
		}
	}
	return nil
}
