// The protocols of one loop by role.

package proto

import (
	"fmt"

	"c100k/netpoll"
)

// Protocols are those of one loop, by role. A role without one has nil everywhere: that of a
// request head, for example. Loop only once the loop runs.
type Protocols struct {
	protocols [netpoll.RolesMax]Protocol
	members   [netpoll.RolesMax]Members
	holders   [netpoll.RolesMax]Holder
	brief     [netpoll.RolesMax]bool
	lastWords [netpoll.RolesMax]LastWord
	transport [netpoll.RolesMax]string
	parts     []Part
}

// Make makes all protocols of the table on one loop. place has what they share; counts has one
// Count for each of Table.Transports. The handlers of the loop, by role, are put into handlers.
func (t *Table) Make(place Place, counts []*Count, handlers *[netpoll.RolesMax]netpoll.Handler) (*Protocols, error) {
	p := &Protocols{}
	place.Table = t
	for i := range t.rows {
		row := &t.rows[i]
		place := place
		place.Role, place.Form, place.Count = row.role, row.form, counts[row.transport]
		part := row.New(&place)
		if len(part.Protocols) != row.Roles || (len(row.Paths) > 0 || row.AnyPath) && part.Serve == nil {
			return nil, fmt.Errorf("protocol %q: New made %d of %d roles, and serves requests: %v",
				row.Name, len(part.Protocols), row.Roles, part.Serve != nil)
		}
		if part.ServeReturned == nil {
			part.ServeReturned = part.Serve
		}
		for j, protocol := range part.Protocols {
			role := row.role + netpoll.Role(j)
			p.set(role, protocol)
			p.transport[role] = row.Transport
			handlers[role] = protocol
			if !row.CountsClients {
				handlers[role] = &counted{protocol, place.Count, place.Ended, row.Transport}
			}
		}
		p.parts = append(p.parts, part)
	}
	return p, nil
}

func (p *Protocols) set(role netpoll.Role, protocol Protocol) {
	p.protocols[role] = protocol
	p.members[role], _ = protocol.(Members)
	p.holders[role], _ = protocol.(Holder)
	_, p.brief[role] = protocol.(Brief)
	p.lastWords[role], _ = protocol.(LastWord)
}

// At is the protocol of a role, nil if it has none.
func (p *Protocols) At(role netpoll.Role) Protocol { return p.protocols[role%netpoll.RolesMax] }

// Transport is the transport label of a role's protocol; empty if it has none.
func (p *Protocols) Transport(role netpoll.Role) string { return p.transport[role%netpoll.RolesMax] }

// Members is the protocol of a role if its members are not simply connections, else nil.
func (p *Protocols) Members(role netpoll.Role) Members { return p.members[role%netpoll.RolesMax] }

// Holder is the protocol of a role if it keeps more of a connection than its output, else nil.
func (p *Protocols) Holder(role netpoll.Role) Holder { return p.holders[role%netpoll.RolesMax] }

// Brief tells whether the protocol of a role is a Brief.
func (p *Protocols) Brief(role netpoll.Role) bool { return p.brief[role%netpoll.RolesMax] }

// LastWord is the protocol of a role if it can tell a client of a panic, else nil.
func (p *Protocols) LastWord(role netpoll.Role) LastWord { return p.lastWords[role%netpoll.RolesMax] }

// Part is the part of the row with that index.
func (p *Protocols) Part(row int) *Part { return &p.parts[row] }
