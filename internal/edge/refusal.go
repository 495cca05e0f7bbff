// Refusal: why a request is not served, and the HTTP answer that says so.

package edge

import (
	"net/http"
	"os"
	"strconv"
	"time"
)

// Refusal is why a request is not served. Refusals are immutable; those of this package are
// compared by pointer. A Refusal is an error, and an http.Handler that gives the same answer to a
// request of net/http. Any goroutine.
type Refusal struct {
	Status int    // the HTTP status
	Reason string // for a person; the body of the answer
	Label  string // for the metric c100k_handshakes_rejected_total{reason}

	setting string   // the flag of `c100k serve` that has decided; "": none
	kind    *Refusal // the refusal that this one is a case of; nil: it is its own

	retryAfter int    // seconds; 0: no Retry-After
	upgrade    bool   // say what to upgrade to: RFC 9110, 15.5.22
	Allow      string // the methods allowed with 405: RFC 9110, 15.5.6
	Challenge  string // the value of WWW-Authenticate with 401: RFC 9110, 15.5.2
}

// Refusals of the head's grammar and framing.
var (
	badLineEnd     = &Refusal{Status: 400, Label: "bad_request", Reason: "a line of the request head ends in a bare LF"}
	badCR          = &Refusal{Status: 400, Label: "bad_request", Reason: "a CR in the request head is not followed by LF"}
	badControl     = &Refusal{Status: 400, Label: "bad_request", Reason: "a control character in the request head"}
	badRequestLine = &Refusal{Status: 400, Label: "bad_request", Reason: "the request line is not: method, target, version"}
	badMethod      = &Refusal{Status: 400, Label: "bad_request", Reason: "the request method is not a token"}
	badTarget      = &Refusal{Status: 400, Label: "bad_request", Reason: "the request target holds a character that has to be percent-encoded"}
	badEscape      = &Refusal{Status: 400, Label: "bad_request", Reason: "the request target holds a malformed percent-encoding"}
	badTargetForm  = &Refusal{Status: 400, Label: "bad_request", Reason: "the request target is neither a path nor an http URL"}
	badAuthority   = &Refusal{Status: 400, Label: "bad_request", Reason: "the host in the request target is invalid"}
	badAsterisk    = &Refusal{Status: 400, Label: "bad_request", Reason: "only OPTIONS may have the target *"}
	noConnect      = &Refusal{Status: 501, Label: "bad_request", Reason: "CONNECT is not supported"}
	badVersion     = &Refusal{Status: 505, Label: "bad_request", Reason: "only HTTP/1.1 and HTTP/1.0 are spoken here"}
	badProxy       = &Refusal{Status: 400, Label: "bad_request", Reason: "the PROXY header is malformed or too long"}

	badFold       = &Refusal{Status: 400, Label: "bad_request", Reason: "a header field begins with white space (obsolete line folding)"}
	badNoColon    = &Refusal{Status: 400, Label: "bad_request", Reason: "a header field without a colon"}
	badEmptyName  = &Refusal{Status: 400, Label: "bad_request", Reason: "a header field without a name"}
	badNameSpace  = &Refusal{Status: 400, Label: "bad_request", Reason: "white space between a header field's name and its colon"}
	badName       = &Refusal{Status: 400, Label: "bad_request", Reason: "the name of a header field is not a token"}
	badNoHost     = &Refusal{Status: 400, Label: "bad_request", Reason: "the Host header field is missing"}
	badTwoHosts   = &Refusal{Status: 400, Label: "bad_request", Reason: "more than one Host header field"}
	badHost       = &Refusal{Status: 400, Label: "bad_request", Reason: "the Host header field is invalid"}
	badConnection = &Refusal{Status: 400, Label: "bad_request", Reason: "the Connection header field holds something that is not a token"}

	badLength       = &Refusal{Status: 400, Label: "bad_request", Reason: "Content-Length is not a decimal number"}
	badTwoLengths   = &Refusal{Status: 400, Label: "bad_request", Reason: "more than one Content-Length"}
	badLengthBig    = &Refusal{Status: 400, Label: "bad_request", Reason: "Content-Length is too large"}
	badBothLengths  = &Refusal{Status: 400, Label: "bad_request", Reason: "Content-Length beside Transfer-Encoding"}
	badOldCoding    = &Refusal{Status: 400, Label: "bad_request", Reason: "Transfer-Encoding in an HTTP/1.0 request"}
	badCodingOrder  = &Refusal{Status: 400, Label: "bad_request", Reason: "chunked is not the one last transfer coding"}
	badCoding       = &Refusal{Status: 501, Label: "bad_request", Reason: "a transfer coding other than chunked"}
	badTrailerNames = &Refusal{Status: 400, Label: "bad_request", Reason: "Trailer announces a field that frames the message"}

	tooLongTarget = &Refusal{Status: 414, Label: "head_too_large", setting: "--max-head", Reason: "the request line is too long: the head may have as many bytes as --max-head says"}
	tooLargeHead  = &Refusal{Status: 431, Label: "head_too_large", setting: "--max-head", Reason: "the request head (cookies and other header fields) is too large: it may have as many bytes as --max-head says"}
	tooManyFields = &Refusal{Status: 431, Label: "head_too_large", Reason: "the request has more than 100 header fields"}
	badQuery      = &Refusal{Status: 400, Label: "bad_request", Reason: "the query holds a malformed percent-encoding"}
	tooManyParams = &Refusal{Status: 400, Label: "bad_request", Reason: "the query has too many parameters"}
)

// Refusals of a body's framing, on connections that net/http serves.
var (
	badChunkSize      = &Refusal{Status: 400, Label: "bad_request", Reason: "a chunk size is not a hexadecimal number of at most 15 digits"}
	badChunkExtension = &Refusal{Status: 400, Label: "bad_request", Reason: "a chunk extension is malformed or too long"}
	badChunkEnd       = &Refusal{Status: 400, Label: "bad_request", Reason: "a chunk does not end in CRLF"}
	badTrailer        = &Refusal{Status: 400, Label: "bad_request", Reason: "the trailer section is malformed or too long"}
)

// Refusals of a WebSocket handshake: RFC 6455, 4.2.1 and 4.4.
var (
	wrongVersion   = &Refusal{Status: 426, Label: "bad_handshake", upgrade: true, Reason: "only WebSocket version 13 is spoken here"}
	wrongMethod    = &Refusal{Status: 405, Label: "bad_handshake", Allow: "GET", Reason: "a WebSocket handshake is a GET request"}
	wrongOldHTTP   = &Refusal{Status: 426, Label: "bad_handshake", upgrade: true, Reason: "a WebSocket handshake needs HTTP/1.1"}
	wrongNoKey     = &Refusal{Status: 400, Label: "bad_handshake", Reason: "Sec-WebSocket-Key is missing"}
	wrongTwoKeys   = &Refusal{Status: 400, Label: "bad_handshake", Reason: "more than one Sec-WebSocket-Key"}
	wrongKey       = &Refusal{Status: 400, Label: "bad_handshake", Reason: "Sec-WebSocket-Key is not the base64 form of 16 bytes"}
	wrongProtocols = &Refusal{Status: 400, Label: "bad_handshake", Reason: "Sec-WebSocket-Protocol is not a list of tokens"}
	wrongBody      = &Refusal{Status: 400, Label: "bad_handshake", Reason: "a WebSocket handshake has no body"}
)

// Refusals that do not depend on the request's grammar.
var (
	// RefuseNotUpgrade answers an ordinary request to a path that speaks WebSocket only.
	RefuseNotUpgrade = &Refusal{Status: 426, Label: "not_upgrade", upgrade: true, Reason: "this path speaks WebSocket"}
	// RefuseOrigin answers an Origin that the rules do not allow.
	RefuseOrigin = &Refusal{Status: 403, Label: "origin", setting: "--origin", Reason: "this Origin is not allowed here"}
	// RefuseOverCapacity answers a connection beyond Admission.Max, or beyond what net/http can
	// take.
	RefuseOverCapacity = &Refusal{Status: 503, Label: "over_capacity", setting: "--max-conns", retryAfter: 5, Reason: "all connections of this node are in use (its --max-conns)"}
	// RefusePerAddr answers a connection beyond Admission.MaxPerAddr.
	RefusePerAddr = &Refusal{Status: 429, Label: "per_address", setting: "--max-conns-per-ip", retryAfter: 5, Reason: "too many connections from this address (this node's --max-conns-per-ip)"}
	// RefuseConnRate answers a connection beyond Admission.RatePerAddr.
	RefuseConnRate = &Refusal{Status: 429, Label: "conn_rate", setting: "--conn-rate-per-ip", retryAfter: 1, Reason: "this address opens connections too fast (this node's --conn-rate-per-ip)"}
	// RefuseMemory answers a connection or a session on a process that holds as much for its clients
	// as it may.
	RefuseMemory = &Refusal{Status: 503, Label: "memory", setting: "--memory", retryAfter: 5, Reason: "this node is short of memory (its --memory)"}
	// RefuseRate answers a request to open a session of polling, from an address whose sessions send
	// as much as they may.
	RefuseRate = &Refusal{Status: 429, Label: "rate", setting: "--rate", retryAfter: 1, Reason: "the polling sessions of this address open and send more than one client may (this node's --rate)"}
	// RefuseDraining answers a new stream on a node that is shutting down.
	RefuseDraining = &Refusal{Status: 503, Label: "draining", retryAfter: 1, Reason: "this node is shutting down"}
	// RefuseNoSocket answers a request for a stream on a connection whose socket cannot be taken
	// over from net/http.
	RefuseNoSocket = &Refusal{Status: 501, Label: "bad_handshake", Reason: "streams are not served over this server's own TLS, nor over a connection that is no plain TCP socket"}
	// RefuseWaiting answers a request that would have to wait, beyond WaitingMax or
	// WaitingBytesMax.
	RefuseWaiting = &Refusal{Status: 503, Label: "waiting", retryAfter: 1, Reason: "too many requests of this node are waiting to be authorized"}
	// RefuseUnanswered answers a request that has waited for an answer too long.
	RefuseUnanswered = &Refusal{Status: 503, Label: "unanswered", retryAfter: 1, Reason: "this request was not authorized in time"}
	// RefuseBodyTimeout is the error of reading a request body that did not arrive in time.
	RefuseBodyTimeout = &Refusal{Status: 408, Label: "timeout", setting: "--body-timeout", Reason: "the request body did not arrive in time"}
	// RefuseBody answers a request whose body is malformed, where no other refusal says how.
	RefuseBody = &Refusal{Status: 400, Label: "bad_request", Reason: "the request body is malformed"}
	// RefuseHost answers a request whose Host is not one of this node's names.
	RefuseHost = &Refusal{Status: 421, Label: "host", setting: "--host", Reason: "this node does not serve this Host"}
	// RefuseBusy answers a request for net/http on a node that serves as many already as it may.
	RefuseBusy = &Refusal{Status: 503, Label: "max_requests", setting: "--max-requests", retryAfter: 5, Reason: "this node serves as many HTTP requests as it may at one time"}
	// RefuseTimeout answers a head that was not complete in time.
	RefuseTimeout = &Refusal{Status: 408, Label: "timeout", setting: "--handshake-timeout", Reason: "the request head did not arrive in time"}
)

// Setting is the flag of `c100k serve` whose value has decided, or "" if none has.
func (r *Refusal) Setting() string { return r.setting }

// DecidedBy is r with the flag of `c100k serve` whose value has decided.
func (r *Refusal) DecidedBy(setting string) *Refusal {
	c := *r
	c.setting = setting
	return &c
}

// With is r with another reason, for this one request. Is tells that it is a case of r.
func (r *Refusal) With(reason string) *Refusal {
	c := *r
	c.Reason, c.kind = reason, r
	return &c
}

// Is tells whether r is target or a case of it; errors.Is calls it. One with status 408 is also
// os.ErrDeadlineExceeded.
func (r *Refusal) Is(target error) bool {
	if target == os.ErrDeadlineExceeded {
		return r.Status == http.StatusRequestTimeout
	}
	t, ok := target.(*Refusal)
	return ok && (r == t || r.kind != nil && r.kind == t)
}

// Temporary tells whether the same request may succeed later.
func (r *Refusal) Temporary() bool { return r.retryAfter > 0 }

// RetryAfter is when the same request may succeed; 0: it will not.
func (r *Refusal) RetryAfter() time.Duration { return time.Duration(r.retryAfter) * time.Second }

// Error is the status and the reason in one line.
func (r *Refusal) Error() string {
	return strconv.Itoa(r.Status) + " " + http.StatusText(r.Status) + ": " + r.Reason
}

// AppendRefusal appends the whole HTTP answer to dst, which ends the connection; body false leaves
// the body out, as the answer to HEAD must. It allocates only to grow dst. Any goroutine.
func AppendRefusal(dst []byte, r *Refusal, body bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(r.Status)...)
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.Reason)+1), 10)
	if r.retryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(r.retryAfter), 10)
	}
	if r.Allow != "" {
		dst = append(dst, "\r\nAllow: "...)
		dst = append(dst, r.Allow...)
	}
	if r.Challenge != "" {
		dst = append(dst, "\r\nWWW-Authenticate: "...)
		dst = append(dst, r.Challenge...)
	}
	if r.upgrade {
		// RFC 9110, 7.8: a sender of Upgrade MUST also send the connection option. RFC 6455, 4.4:
		// the version spoken.
		dst = append(dst, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close, Upgrade\r\n\r\n"...)
	} else {
		dst = append(dst, "\r\nConnection: close\r\n\r\n"...)
	}
	if !body {
		return dst
	}
	dst = append(dst, r.Reason...)
	return append(dst, '\n')
}

// ServeHTTP gives the refusal as the answer to a request that net/http has parsed, and ends the
// connection.
func (r *Refusal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(r.Reason)+1))
	h.Set("Connection", "close")
	if r.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	if r.Allow != "" {
		h.Set("Allow", r.Allow)
	}
	if r.Challenge != "" {
		h.Set("WWW-Authenticate", r.Challenge)
	}
	if r.upgrade {
		h.Set("Upgrade", "websocket")
		h.Set("Sec-WebSocket-Version", "13")
		h.Set("Connection", "close, Upgrade")
	}
	w.WriteHeader(r.Status)
	// An error means that the peer has left.
	_, _ = w.Write([]byte(r.Reason + "\n"))
}
