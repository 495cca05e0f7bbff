// Package tidy holds the house rules that a test can hold: the layers of ARCHITECTURE.md, the size
// and form of files, the phases of a turn as they are told in three places, seeds for every fuzz
// target, comments for what is exported, links that lead somewhere. It has no code of its own, only
// tests; each says which rule was broken, where, and what to do about it.
package tidy
