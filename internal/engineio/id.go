// The id of a session: a secret, and the place where the session is.

package engineio

// secretBytes is the random part of an id: 80 bits that cannot be guessed, for an id is all that a poll is let in by.
const secretBytes = 10
