// Package figures is the table of everything that a node counts.
//
// [Table] has one row for each figure: its name in the document of GET /v1/stats, its name among
// the metrics, what it means, and how it is read. Four things are made from the table, and nothing
// else names a figure:
//
//   - [Read] reads a [Source], which is what the parts of a process count, into a [Reading];
//   - Reading.MarshalJSON and UnmarshalJSON are the document of GET /v1/stats;
//   - the collector of package admin turns a Reading into the metrics;
//   - Reading.AddTotals and AddPresent add up the processes of a node.
//
// To add a figure, count it in a struct that Source holds, and add a row to Table. A test fails for
// a counter of Source that no row shows.
//
// A [Histogram] is what a loop counts durations in. [Process] is what the kernel and the Go runtime
// know about this process. All functions may be called on any goroutine, unless their comment says
// otherwise; none is called on a loop except Histogram.Observe.
package figures
