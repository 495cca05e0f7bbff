//go:build !race

// Without the race detector the program is built as usual.

package e2e

const raceEnabled = false
