// Techniques that a measurement may switch off, in a build for it (ablation_on.go). Here they are
// constants, and what is not taken is not compiled.

//go:build !ablation

package netpoll

const (
	withoutSlices = false // fan-outs in slices, with a look at what has come between them
)
