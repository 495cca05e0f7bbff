// The build that measurements of techniques use (make ablation): what the environment names is
// switched off.

//go:build ablation

package netpoll

import (
	"os"
	"slices"
	"strings"
)

var (
	withoutSlices = switchedOff("slices")
)

// switchedOff tells whether ABLATION_WITHOUT, a list with commas, has a technique in it.
func switchedOff(technique string) bool {
	return slices.Contains(strings.Split(os.Getenv("ABLATION_WITHOUT"), ","), technique)
}
