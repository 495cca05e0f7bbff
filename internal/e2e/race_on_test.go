//go:build race

// Under the race detector the program is built with it, too.

package e2e

const raceEnabled = true
