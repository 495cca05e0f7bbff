// The package's bounds, with unit and reason.

package echo

// InPlaceBytesMin is the size of an echo from which it is sent from where its request lies, in
// bytes. Smaller ones are copied, so that the replies to pipelined messages lie in one piece and
// are one send.
const InPlaceBytesMin = 4 << 10
