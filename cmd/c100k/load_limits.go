// What `load` says of the box before it begins.

package main

import (
	"fmt"
	"net/url"

	"c100k/internal/doctor"
	"c100k/loadgen"
)

// warnOfLimits says in one line for each limit of this box what stands in the way of the run. It
// never refuses.
func (l *loading) warnOfLimits(o *loadgen.Options) {
	target, err := url.Parse(o.URL)
	if err != nil {
		return // the run itself says what is wrong with it
	}
	for _, line := range doctor.ForLoad(l.host(), target.Hostname(), int64(o.Conns)) {
		fmt.Fprintf(l.stderr, "c100k: a limit of this box is low: %s\n", line)
	}
}
