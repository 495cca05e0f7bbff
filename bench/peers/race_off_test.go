//go:build !race

// Without the race detector the rivals are built as usual.

package peers

const raceEnabled = false
