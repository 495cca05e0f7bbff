//go:build race

// Under the race detector the rivals are built with it, too.

package peers

const raceEnabled = true
