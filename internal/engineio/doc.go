// Package engineio is Engine.IO, the transport below Socket.IO: protocol 4, and protocol 3 behind
// an option, over WebSocket and over long polling, with the upgrade from one to the other. All of
// it runs on the reactor: a session on WebSocket is a connection's record and about a hundred
// bytes, and so is a poll that waits; neither has a goroutine.
//
// There are only a few types:
//
//   - An [Endpoint] is Engine.IO on one loop. It gives the loop three handlers, one for each
//     [Roles], and serves the requests to its path: [Endpoint.Serve] is called by
//     edge.Config.Route.
//   - A [Session] is one client. It is opened by a handshake, has one transport at a time, and ends
//     once.
//   - An [App] is the layer above: it hears what becomes of a session, and what its client sends.
//   - A [Request] is the HTTP request of a handshake, as far as the layer above wants to know.
//   - A [Packet] is one Engine.IO packet; codec.go takes payloads apart and puts them together, and
//     is pure.
//
// # Where a session lives
//
// A session belongs to the loop on which its handshake arrived, its home, and never leaves it. Its
// id names the home; a later request that arrives on another loop (browsers open several
// connections) is moved there, socket and bytes, before it is looked at ([Config.Move]). So
// everything that concerns a session happens on one loop: no lock, and no message between loops.
//
// All methods of an [App] are called on the home loop. Methods of an [Endpoint] that take a session
// must be called there. Another goroutine keeps [Session.ID] and posts to the loop
// (netpoll.Remote); there [Endpoint.Lookup] finds the session, or nothing if it has ended.
//
// # What a session counts for
//
// A polling session has no connection between two requests. It is admitted like a connection
// (edge.Config.AdmitSession) and counts as one until it ends or upgrades; then its WebSocket
// counts.
//
// # A session's anchor, and its number as a member
//
// A session is named by the record of a connection, its anchor. If it began on WebSocket, that is
// the record of its WebSocket. If it began with polling, it is a record without a socket
// (netpoll.Loop.Reserve), which stays when the session upgrades. The anchor gives the session its
// ID, its deadline in the wheel (heartbeat, abandonment), and its number as a member of a
// broadcast.Shard: [Session.Member] never changes, so rooms need not know of transports.
//
// The owner of the loop has a broadcast.Sink that finds the member's record (netpoll.Loop.ConnAt),
// looks at its role, and for [Roles.Socket] and [Roles.Session] calls [Endpoint.MemberPending],
// [Endpoint.MemberSend], [Endpoint.MemberDrop] and [Endpoint.Slow]. It also calls [Endpoint.Flush]
// at the end of phase 6 of each turn: polls are answered there, with all that the turn had for
// them.
//
// # Wire forms
//
// Messages to a session, single or broadcast, are always runs of whole WebSocket frames. A polling
// session queues the same bytes; when its poll comes, they are parsed and written as a payload. So
// one encoding serves both transports, and at an upgrade the queue is sent over the WebSocket as it
// is. See [Form] for the forms; [AppendMessage] makes a message in one.
//
// # How a session ends
//
// [App.Closed] is called exactly once for each session that was opened, whichever side ended it;
// see [Reason].
package engineio
