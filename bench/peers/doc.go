// Package peers is the rivals of the bench, a program each: the same two paths, /echo and
// /broadcast, on the WebSocket libraries that people would otherwise use. It has no code of its
// own, only the test that they all do the same work; the comment of each program says how it was
// built and why.
package peers
