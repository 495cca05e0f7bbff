// Token: where a request carries a token that identifies its client.

package edge

import "bytes"

// TokenProtocol begins the subprotocol in which a page carries a token: a WebSocket of a browser
// sends no other header field of the page's choice. It is never the one chosen.
const TokenProtocol = "c100k.token."

// TokenParam is the parameter of the query: RFC 6750, 2.3.
const TokenParam = "access_token"

// TokenPlace is where a token was found.
type TokenPlace uint8

// The places, in the order in which they are looked at.
const (
	TokenNowhere TokenPlace = iota
	TokenHeader             // Authorization: Bearer
	TokenSubprotocol
	TokenQuery
	TokenCookie
)

// String is the place in words.
func (p TokenPlace) String() string {
	return [...]string{"nowhere", "Authorization", "Sec-WebSocket-Protocol", "query", "cookie"}[p]
}

var (
	twoAuthorizations = &Refusal{Status: 400, Label: "bad_request", Reason: "more than one Authorization header field"}
	twoTokens         = &Refusal{Status: 400, Label: "bad_request", Reason: "the query has more than one access_token"}
)

// Token is the token of a request: the first that there is, in the order of the places. cookie is
// the name of the cookie that may carry it, "" for none; whether the page may speak for its visitor
// is the caller's to judge (OriginRules.OwnCookies). The token may be empty where one was meant. It
// is a slice of h, or decoded. Any goroutine.
func Token(h *Head, cookie string) (token []byte, place TokenPlace, refusal *Refusal) {
	var authorization, cookieToken []byte
	headers, protocol, inCookie := 0, []byte(nil), false
	for i := range h.Fields() {
		name, value := h.Field(i)
		switch len(name) {
		case len("authorization"):
			if equalFold(name, "authorization") {
				authorization = value
				headers++
			}
		case len("sec-websocket-protocol"):
			if protocol == nil && equalFold(name, "sec-websocket-protocol") {
				protocol = tokenProtocol(value)
			}
		case len("cookie"):
			if cookie != "" && !inCookie && equalFold(name, "cookie") {
				cookieToken, inCookie = cookieValue(value, cookie)
			}
		}
	}
	if headers > 1 {
		return nil, TokenNowhere, twoAuthorizations
	}
	if token, ok := bearer(authorization); ok {
		return token, TokenHeader, nil
	}
	if protocol != nil {
		return protocol, TokenSubprotocol, nil
	}
	token, found, refusal := queryToken(h.Query())
	switch {
	case refusal != nil:
		return nil, TokenNowhere, refusal
	case found:
		return token, TokenQuery, nil
	case inCookie:
		return cookieToken, TokenCookie, nil
	}
	return nil, TokenNowhere, nil
}

// bearer is the token of an Authorization field. RFC 6750, 2.1; the scheme's case does not matter
// (RFC 9110, 11.1).
func bearer(value []byte) (token []byte, ok bool) {
	const scheme = "bearer"
	if len(value) < len(scheme) || !equalFold(value[:len(scheme)], scheme) {
		return nil, false
	}
	rest := value[len(scheme):]
	if len(rest) > 0 && rest[0] != ' ' {
		return nil, false // a scheme whose name begins alike
	}
	return bytes.TrimLeft(rest, " "), true
}

// tokenProtocol is the token in a list of subprotocols, nil if there is none.
func tokenProtocol(list []byte) []byte {
	for rest := list; rest != nil; {
		var offer []byte
		if offer, rest = nextElement(rest); bytes.HasPrefix(offer, []byte(TokenProtocol)) {
			return offer[len(TokenProtocol):]
		}
	}
	return nil
}

// queryToken is the parameter access_token. RFC 6750, 2: a client must not send two.
func queryToken(query []byte) (token []byte, found bool, refusal *Refusal) {
	if !bytes.Contains(query, []byte("access")) && !bytes.ContainsRune(query, '%') {
		return nil, false, nil // as nearly all: nothing is decoded
	}
	for q := NewParams(query); ; {
		name, value, ok, refusal := q.Next()
		switch {
		case refusal != nil:
			return nil, false, refusal
		case !ok:
			return token, found, nil
		case string(name) != TokenParam:
		case found:
			return nil, false, twoTokens
		default:
			token, found = value, true
		}
	}
}

// cookieValue is the value of the first cookie of that name: RFC 6265, 4.2.1. Quotes around it do
// not belong to it.
func cookieValue(field []byte, name string) (value []byte, found bool) {
	for rest := field; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte{';'})
		key, value, named := bytes.Cut(trim(pair), []byte{'='})
		if !named || string(key) != name {
			continue // a pair without "=" is the value of a cookie without a name
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		return value, true
	}
	return nil, false
}

// OwnCookies tells whether the cookies of a request speak for its sender: a browser sends them with
// the request of any page, so the page must be of an allowed origin, and one that was named. A page
// of the same host sends no Origin with a GET request; browsers then say so in Sec-Fetch-Site,
// which no page can set.
func (o *OriginRules) OwnCookies(h *Head) bool {
	origin, n := h.Origin()
	if n == 0 {
		site, _ := h.Get("sec-fetch-site")
		return string(site) == "same-origin"
	}
	if n > 1 {
		return false
	}
	if o.all {
		// Any page may ask, and none may use the credentials of its visitor but our own.
		scheme, name, port, ok := splitOrigin(origin)
		return ok && sameHost(scheme, name, port, h.Host())
	}
	return string(origin) != "null" && o.Allowed(origin, h.Host())
}
