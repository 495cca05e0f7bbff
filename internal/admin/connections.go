// The connections of a node, and how they ended: GET /v1/connections, GET /v1/connections/{id} and
// GET /v1/closes.

package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/ends"
	"c100k/netpoll"
)

// Inspector is a Node that knows its connections. Its methods are called on any goroutine, and
// return before ctx ends.
type Inspector interface {
	// Connections lists those that are open, by Place: the first q.Most of them at least, in any
	// order. There may be others among them. missing says whose part is not in the list, in words.
	Connections(ctx context.Context, q *ConnectionQuery) (list []Connection, missing []string)

	// Connection is one of them: a *Connection, or a *Closed for one that has ended and is still
	// remembered; nil if there is neither. An error goes to the caller, with status 503.
	Connection(ctx context.Context, id netpoll.ID) (any, error)

	// Closes lists ends, newest first: the first q.Most of them at least, in any order.
	Closes(ctx context.Context, q *CloseQuery) (list []Closed, missing []string)
}

// ConnectionQuery selects connections.
type ConnectionQuery struct {
	Sub    string       // of its client; empty: any
	Topic  string       // it is subscribed to; empty: any
	Addrs  netip.Prefix // of its client; invalid: any
	Behind int          // at least so many bytes wait to be sent to it
	After  netpoll.ID   // of the page before; 0: none
	Most   int
}

// Values is the query of a request for them.
func (q *ConnectionQuery) Values() url.Values {
	v := url.Values{"limit": {strconv.Itoa(min(q.Most, ConnectionsPageMax))}}
	put(v, "sub", q.Sub)
	put(v, "topic", q.Topic)
	if q.Addrs.IsValid() {
		v.Set("address", q.Addrs.String())
	}
	if q.Behind > 0 {
		v.Set("behind", strconv.Itoa(q.Behind))
	}
	if q.After != 0 {
		v.Set("after", q.After.String())
	}
	return v
}

func put(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

// CloseQuery selects ends of connections.
type CloseQuery struct {
	ends.Query
	Most int
}

// Values is the query of a request for them.
func (q *CloseQuery) Values() url.Values {
	v := url.Values{"limit": {strconv.Itoa(min(q.Most, ConnectionsPageMax))}}
	put(v, "reason", q.Reason)
	put(v, "sub", q.Sub)
	if q.Addrs.IsValid() {
		v.Set("address", q.Addrs.String())
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	if !q.Before.IsZero() {
		v.Set("after", placeText(q.Before))
	}
	return v
}

// Client is what open and closed connections have in common.
type Client struct {
	ID        string  `json:"id"`
	Transport string  `json:"transport"`
	Sub       string  `json:"sub,omitempty"`
	Address   string  `json:"address,omitempty"`
	Connected string  `json:"connected"` // RFC 3339
	Seconds   float64 `json:"seconds"`   // how long it has been there, or was
}

// NewClient makes one.
func NewClient(id netpoll.ID, transport, sub string, addr netip.Addr, until time.Time, lasted time.Duration) Client {
	c := Client{ID: id.String(), Transport: transport, Sub: sub, Connected: until.Add(-lasted).UTC().Format(time.RFC3339), Seconds: lasted.Seconds()}
	if addr.IsValid() {
		c.Address = addr.String()
	}
	return c
}

// Connection is an open connection.
type Connection struct {
	Client
	Topics int `json:"topics"` // how many it is subscribed to
	Behind int `json:"behind"` // bytes that it has been sent and has not taken

	// The fields below are set of one connection that is asked for by its ID.
	Subscriptions []string    `json:"subscriptions,omitempty"` // at most SubscriptionsMax
	Expires       int64       `json:"expires,omitempty"`       // when its rights end, Unix time
	Token         string      `json:"token,omitempty"`         // the id of its token
	Rights        *auth.Lists `json:"rights,omitempty"`
}

// Closed is a connection that has ended.
type Closed struct {
	Client
	Closed string `json:"closed"` // when, RFC 3339
	Reason string `json:"reason"` // a label
	Why    string `json:"why"`    // the same in words
	Code   int    `json:"code,omitempty"`
	Text   string `json:"text,omitempty"` // of the close frame
	Owed   int    `json:"owed"`           // bytes that it had been sent and had not taken
}

// NewClosed makes one of an end.
func NewClosed(e *ends.End) Closed {
	return Closed{
		Client: NewClient(e.ID, e.Transport, e.Sub, e.Addr, e.At, e.Lasted),
		Closed: e.At.UTC().Format(time.RFC3339Nano), Reason: e.Reason.String(), Why: Why(e.Reason.String()),
		Code: int(e.Code), Text: strings.ToValidUTF8(e.Text, "\ufffd"), Owed: e.Owed,
	}
}

// place is where it stands in a list.
func (c *Closed) place() (p ends.Place) {
	p.At, _ = time.Parse(time.RFC3339Nano, c.Closed) // our own, or a worker's
	p.ID, _ = netpoll.ParseID(c.ID)
	return p
}

// placeText is a place as "after" has it.
func placeText(p ends.Place) string { return fmt.Sprintf("%d-%s", p.At.UnixNano(), p.ID) }

func parsePlace(text string) (ends.Place, error) {
	nanos, id, _ := strings.Cut(text, "-")
	n, err := strconv.ParseInt(nanos, 10, 64)
	if err != nil {
		return ends.Place{}, err
	}
	p := ends.Place{At: time.Unix(0, n)}
	p.ID, err = netpoll.ParseID(id)
	return p, err
}

// connectionPage is the answer of GET /v1/connections.
type connectionPage struct {
	Connections []Connection `json:"connections"`
	Next        string       `json:"next,omitempty"`    // "after" of the next page
	Missing     []string     `json:"missing,omitempty"` // whose are not in it, in words
}

// closedPage is the answer of GET /v1/closes.
type closedPage struct {
	Closes  []Closed `json:"closes"`
	Next    string   `json:"next,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

// inspector is the node as one that knows its connections; nil, with the answer given, if it is
// none.
func (a *api) inspector(w http.ResponseWriter) Inspector {
	v, ok := a.node.(Inspector)
	if !ok {
		NewProblem(http.StatusNotFound, "no_such_path", "this node does not list connections").Write(w)
	}
	return v
}

func (a *api) connections(w http.ResponseWriter, r *http.Request, _ string) {
	params, problem := query(r, "sub", "topic", "address", "behind", "limit", "after")
	q := ConnectionQuery{Sub: params["sub"], Topic: params["topic"]}
	if problem == nil {
		q.Most, problem = pageLimit(params, ConnectionsPage, ConnectionsPageMax)
	}
	if problem == nil {
		q.Addrs, problem = addresses(params)
	}
	if problem == nil && q.Topic != "" && broadcast.ValidTopic(q.Topic) != nil {
		problem = checkTopic(q.Topic)
	}
	if problem == nil {
		problem = q.read(params)
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	v := a.inspector(w)
	if v == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), InspectTimeout)
	defer cancel()
	limit := q.Most
	q.Most++ // one more tells whether there is a next page
	list, missing := v.Connections(ctx, &q)
	slices.SortFunc(list, func(x, y Connection) int { return strings.Compare(x.ID[:8], y.ID[:8]) })
	page := connectionPage{Connections: list, Missing: missing}
	if len(list) > limit {
		page.Connections, page.Next = list[:limit], list[limit-1].ID
	}
	if page.Connections == nil {
		page.Connections = []Connection{}
	}
	writeJSON(w, http.StatusOK, page)
}

// read reads the parameters that are numbers.
func (q *ConnectionQuery) read(params map[string]string) *Problem {
	if text, ok := params["behind"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return NewProblem(http.StatusBadRequest, "bad_number", "behind is a number of bytes, not "+quoted(text))
		}
		q.Behind = n
	}
	if text, ok := params["after"]; ok {
		id, err := netpoll.ParseID(text)
		if err != nil {
			return NewProblem(http.StatusBadRequest, "bad_place", "after is next of the page before, not "+quoted(text))
		}
		q.After = id
	}
	return nil
}

// addresses reads the parameter address: an address, or a network.
func addresses(params map[string]string) (netip.Prefix, *Problem) {
	text, ok := params["address"]
	if !ok {
		return netip.Prefix{}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, NewProblem(http.StatusBadRequest, "bad_address", "address is an IP address or a network such as 10.0.0.0/8, not "+quoted(text))
	}
	return network, nil
}

func (a *api) showConnection(w http.ResponseWriter, r *http.Request, arg string) {
	id, problem := connectionID(arg)
	if problem == nil {
		_, problem = query(r)
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	v := a.inspector(w)
	if v == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), InspectTimeout)
	defer cancel()
	found, err := v.Connection(ctx, id)
	switch {
	case err != nil:
		unavailable(err).Write(w)
	case found == nil:
		NewProblem(http.StatusNotFound, "no_such_connection", "there is no connection "+id.String()+", and none of the last ends was its").Write(w)
	default:
		writeJSON(w, http.StatusOK, found)
	}
}

func connectionID(arg string) (netpoll.ID, *Problem) {
	id, err := netpoll.ParseID(arg)
	if err != nil {
		return 0, NewProblem(http.StatusBadRequest, "bad_connection_id", "a connection's id is 16 hex digits, not "+quoted(arg))
	}
	return id, nil
}

func (a *api) closes(w http.ResponseWriter, r *http.Request, _ string) {
	params, problem := query(r, "reason", "since", "sub", "address", "limit", "after")
	var q CloseQuery
	q.Reason, q.Sub = params["reason"], params["sub"]
	if problem == nil {
		q.Most, problem = pageLimit(params, ConnectionsPage, ConnectionsPageMax)
	}
	if problem == nil {
		q.Addrs, problem = addresses(params)
	}
	if problem == nil {
		problem = q.read(params, time.Now())
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	v := a.inspector(w)
	if v == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), InspectTimeout)
	defer cancel()
	limit := q.Most
	q.Most++
	list, missing := v.Closes(ctx, &q)
	slices.SortFunc(list, func(x, y Closed) int { return x.place().Compare(y.place()) })
	page := closedPage{Closes: list, Missing: missing}
	if len(list) > limit {
		page.Closes, page.Next = list[:limit], placeText(list[limit-1].place())
	}
	if page.Closes == nil {
		page.Closes = []Closed{}
	}
	writeJSON(w, http.StatusOK, page)
}

// read reads the parameters that are neither texts nor addresses.
func (q *CloseQuery) read(params map[string]string, now time.Time) *Problem {
	if q.Reason != "" && Why(q.Reason) == "" {
		return NewProblem(http.StatusBadRequest, "bad_reason", "reason is one of "+strings.Join(Reasons(), ", ")+", not "+quoted(q.Reason))
	}
	if text, ok := params["since"]; ok {
		if q.Since, ok = parseSince(text, now); !ok {
			return NewProblem(http.StatusBadRequest, "bad_time", `since is a time as of RFC 3339, Unix seconds, or how long ago, such as 5m; not `+quoted(text))
		}
	}
	if text, ok := params["after"]; ok {
		place, err := parsePlace(text)
		if err != nil {
			return NewProblem(http.StatusBadRequest, "bad_place", "after is next of the page before, not "+quoted(text))
		}
		q.Before = place
	}
	return nil
}

func parseSince(text string, now time.Time) (time.Time, bool) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), true
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), true
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	return at, err == nil
}
