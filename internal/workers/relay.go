// The parent's part in a move: from the link of one worker to that of another, or back.

package workers

import "golang.org/x/sys/unix"

// relay hands a connection on to the worker that it is for, or gives it back to the one that it
// comes from.
func (s *Supervisor) relay(from *slot, m *move) {
	if m.back || m.worker >= len(s.slots) || m.worker == from.number {
		unix.Close(m.FD) // no worker that is well sends this
		return
	}
	to := s.slots[m.worker].process()
	if to == nil || !to.answers() || !to.link.moves.add(m, func(sent bool) {
		if !sent {
			from.giveBack(m)
		}
	}) {
		from.giveBack(m)
	}
}

// giveBack returns a connection that nobody has taken. Where its worker does not take it either,
// the client gets the next best answer.
func (p *slot) giveBack(m *move) {
	m.back = true
	if now := p.process(); now == nil || !now.answers() || !now.link.moves.add(m, func(sent bool) {
		if !sent {
			m.Refuse()
		}
	}) {
		m.Refuse()
	}
}
