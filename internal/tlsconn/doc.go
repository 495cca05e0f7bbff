// Package tlsconn is TLS below the protocols: a netpoll.Layer, and a net.Conn over the same state.
//
// The handshake is that of crypto/tls. It runs on a bounded pool of coroutines over a connection in
// memory, which hands it one record at a time, so that crypto/tls reads nothing ahead. When it is
// over, tls.Conn is dropped, and the record layer of this package continues: TLS 1.3, and TLS 1.2
// with AEAD suites. The ciphers are those of the standard library and of x/crypto.
//
// There are only a few types:
//
//   - [Layer] is the netpoll.Layer of one loop. A connection owns a record without pointers in a
//     slab: secrets, sequence numbers, the suite. AEADs exist for connections that are busy, in a
//     cache that is bounded in bytes.
//   - [Pool] runs handshakes for all loops of a process: on goroutines of its own what takes long,
//     on the loop the end of a handshake, a few hashes.
//   - [State] is a connection on its way between loops, processes and net/http.
//   - [Conn] is a net.Conn that continues a State on the caller's goroutine.
//
// The traffic secrets come from tls.Config.KeyLogWriter; each handshake has a writer of its own, so
// that nothing a client sends can mix up two connections. The sequence numbers are verified and not
// assumed: the last records that the handshake has read and written must open under the derived
// keys (verify.go). If anything does not add up, the connection ends with an internal error.
package tlsconn
