// Techniques that a measurement may switch off, in a build for it (ablation_on.go). Here they are
// constants, and what is not taken is not compiled.

//go:build !ablation

package echo

const (
	withoutInPlace = false // a reply in front of the payload where it was received
)
