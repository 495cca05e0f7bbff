// Package rig is what measuring a whole node needs: the node and the load generator as child
// processes, what the node costs, and the machine they ran on.
//
// A [Node] is a running `c100k serve` with all its workers. A [Watch] notes, while a load runs, how
// many connections the node has and what it and the kernel spend on them. [Load] is one run of
// `c100k load`. A [Machine] is where it all happened, so that a reader can tell what the figures
// depend on. Nothing here judges a figure.
package rig
