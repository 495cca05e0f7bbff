// Which pages may use the endpoint, and how the answers tell their browsers (Fetch standard, CORS
// protocol).

package engineio

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"

	"c100k/netpoll"
)

// methodsDefault are what a page is allowed where CORS.Methods is empty.
var methodsDefault = []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"}

// allowOrigin checks the Origin of a request, for both transports: CORS itself keeps a page from
// reading answers, but not from sending requests or opening WebSockets. It also makes the answer's
// header lines, unless the program's handlers have set theirs.
func (e *Endpoint) allowOrigin(l *netpoll.Loop, r *arrival) bool {
	origin, n := r.h.Origin()
	switch {
	case n > 1:
		return false
	case n == 0:
		return r.jsonp == nil || !e.mayScript(r) || e.allowScript(r)
	case e.cfg.Origins.Allowed(origin, r.h.Host()):
	case e.cfg.AllowOrigin == nil || !e.cfg.AllowOrigin(e.describe(l, r), string(origin)):
		return false
	}
	if r.h.Mount().SetsCORS() {
		return true
	}
	r.lines = append(append(r.lines, "Access-Control-Allow-Origin: "...), origin...)
	r.lines = append(r.lines, "\r\nVary: Origin\r\n"...)
	if e.cfg.CORS.Credentials {
		r.lines = append(r.lines, "Access-Control-Allow-Credentials: true\r\n"...)
	}
	r.lines = appendList(r.lines, "Access-Control-Expose-Headers: ", e.cfg.CORS.ExposedHeaders)
	return true
}

// allowScript checks a request for a script, which comes without an origin and whose answer any
// page can read. The browser has to say which page asks, by Sec-Fetch-Site or by Referer. A page
// can keep it from sending either, so their absence proves nothing.
func (e *Endpoint) allowScript(r *arrival) bool {
	if site, ok := r.h.Get("sec-fetch-site"); ok && bytes.Equal(site, []byte("same-origin")) {
		return e.cfg.Origins.Allowed([]byte("http://"+string(r.h.Host())), r.h.Host()) ||
			e.cfg.Origins.Allowed([]byte("https://"+string(r.h.Host())), r.h.Host())
	}
	referer, ok := r.h.Get("referer")
	if !ok {
		return e.cfg.Origins.All()
	}
	page, err := url.Parse(string(referer))
	return err == nil && e.cfg.Origins.Allowed([]byte(page.Scheme+"://"+page.Host), r.h.Host())
}

// preflight answers a CORS preflight; false if the request is none.
func (e *Endpoint) preflight(l *netpoll.Loop, r *arrival) bool {
	if _, n := r.h.Origin(); n == 0 {
		return false
	}
	if _, asks := r.h.Get("access-control-request-method"); !asks {
		return false
	}
	if r.h.Mount().SetsCORS() {
		e.respond(l, r, noContent, "", nil)
		return true
	}
	methods := e.cfg.CORS.Methods
	if len(methods) == 0 {
		methods = methodsDefault
	}
	r.lines = appendList(r.lines, "Access-Control-Allow-Methods: ", methods)
	if allowed := e.cfg.CORS.AllowedHeaders; len(allowed) > 0 {
		r.lines = appendList(r.lines, "Access-Control-Allow-Headers: ", allowed)
	} else if asked, ok := r.h.Get("access-control-request-headers"); ok {
		r.lines = append(append(r.lines, "Access-Control-Allow-Headers: "...), asked...)
		r.lines = append(r.lines, "\r\nVary: Access-Control-Request-Headers\r\n"...)
	}
	if age := e.cfg.CORS.MaxAge; age > 0 {
		r.lines = strconv.AppendInt(append(r.lines, "Access-Control-Max-Age: "...), int64(age.Seconds()), 10)
		r.lines = append(r.lines, "\r\n"...)
	}
	e.respond(l, r, noContent, "", nil)
	return true
}

// appendList appends a header line with the values of list, none if it is empty.
func appendList(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	return append(append(append(dst, name...), strings.Join(list, ", ")...), "\r\n"...)
}
