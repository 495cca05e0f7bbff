// Package spans sends traces of what a node does to a collector of OpenTelemetry, by OTLP over
// HTTP.
//
// There are only two types. [Tracer] decides what is traced, and sends it: a nil Tracer traces
// nothing. [Span] is something that is traced and goes on; a nil Span, of what is not traced, does
// nothing. The spans themselves, their encoding and their sending are those of the official
// library.
//
// Nothing waits for the collector. A span that ends is put into a bounded queue, which one
// goroutine empties; what finds no room, or is not taken, is dropped and counted.
package spans
