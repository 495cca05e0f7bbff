// Package jsontext reads and writes JSON texts (RFC 8259) that lie in memory, without reflection
// and without allocating: for messages that arrive by the hundred thousand, of which a few members
// are read and the rest is passed on as it is.
//
// The Skip functions find where a value ends; between them they accept exactly what RFC 8259 calls
// JSON, up to DepthMax. They take the text and an index and return an index, so that a caller walks
// the outermost object itself and keeps the raw text of what it wants:
//
//	i = SkipSpace(p, 0)            // p[i] is '{'
//	from, to, next, bad := SkipName(p, i+1)
//	end, bad := SkipValue(p, next, 1)
//	i, last, bad := SkipComma(p, end, '}')
//
// The text must be UTF-8, which the code that received it has checked. Everything is pure; any
// goroutine.
package jsontext
