// Package auth is whom a connection speaks for, and what it may do.
//
// There are only a few types. A [Pattern] names topics: levels are separated by dots, * is one
// level, > at the end is one or more, and {sub} is the subject of the client. [Rights] are the
// lists of patterns of a client, compiled; [Registry] makes them, and clients with the same lists
// share one. A [Principal] is a client that was identified: a subject, its rights, and when they
// end. [Public] is the rights of a client that was not. [Principals] holds the principals of one
// loop, so that a session keeps an index of four bytes and an anonymous one costs nothing more.
//
// A principal is made by the code that identifies the client, on any goroutine, and is immutable
// from then on. It reaches the protocol of a connection as the value of a request that waits
// (package edge).
//
// The subject comes from outside: a client chooses it when it registers at the
// issuer of the tokens.
// So it stands for exactly one level of a topic, whatever it contains: [SubjectLevel] escapes its
// dots and wildcards. A subject "a.b" in "user.{sub}" is the topic "user.a%2Eb", not "user.a.b",
// which the pattern "user.a.>" of another client would match.
package auth
