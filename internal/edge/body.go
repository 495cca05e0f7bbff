// The body of a request that a loop serves itself: what is data in it, and what is framing.

package edge

// Body takes the data of one request's body out of its framing, judged like that of requests to net/http. The zero value is a body
// that is over.
type Body struct{ framer framer }

// Begin begins the body of h.
func (b *Body) Begin(h *Head) { b.framer.begin(h) }

// Done says whether the body is over: what follows belongs to the next request.
func (b *Body) Done() bool { return b.framer.done() }

// Next takes n bytes off the beginning of p, in which data is the next piece of the body's data, perhaps empty. It is called until p
// is used up or the body is Done. A refusal says that the framing is broken, and the connection with it.
func (b *Body) Next(p []byte) (data []byte, n int, refusal *Refusal) {
	for n < len(p) && !b.framer.done() {
		if state := b.framer.state; state == bodyLength || state == chunkData {
			took := b.framer.skip(len(p) - n)
			return p[n : n+took : n+took], n + took, nil
		}
		if refusal = b.framer.step(p[n]); refusal != nil {
			return nil, n, refusal
		}
		n++
	}
	return nil, n, nil
}
