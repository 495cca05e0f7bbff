// Techniques that a measurement may switch off, in a build for it (ablation_on.go). Here they are
// constants, and what is not taken is not compiled.

//go:build !ablation

package broadcast

const (
	withoutRuns    = false // all pending messages of a topic in one pass
	withoutSharing = false // a message encoded once for all
)
