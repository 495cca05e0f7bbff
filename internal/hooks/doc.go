// Package hooks asks a backend, over HTTP, what clients may do, and tells it what happens.
//
// There are only a few types. A [Backend] is a server that is asked: it bounds how many requests
// run at one time and how long the others wait. A [Hook] is one URL that decides (connect,
// subscribe, publish): it turns a [Request] into a [Verdict], by its cache, its circuit breaker and
// the Backend. [Events] is the URL that is told: a bounded queue, in memory or on disk, whose
// batches are sent until the backend has taken them.
//
// Hook.Ask and Events.Add never block, so event loops may call them. Everything else runs on
// goroutines of this package. What the hooks send is signed (signature.go); what they answer is
// bounded in size and time, and all that is not a well-formed answer is a failure.
package hooks
