// The package's bounds, with unit and reason.

package echo

// InPlaceBytesMin is the size of an echo from which it is sent from where its request lies, in
// bytes. Smaller ones are copied, because the replies to pipelined messages then lie in one piece
// and go out as one.
const InPlaceBytesMin = 4 << 10
