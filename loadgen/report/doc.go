// Package report writes what came out of a load run: as text at the end, as a JSON document, as a
// log of histograms, and as a page with charts that needs no network. It also compares two
// documents.
//
// There are only a few types. A [Document] is a result with what it depends on: the program, the
// machine, the command line. A [Comparison] is two of them, figure by figure. Nothing here runs
// while something is measured.
package report
