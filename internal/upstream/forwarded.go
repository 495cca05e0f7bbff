// What a forwarded request says of its client and of its way.

package upstream

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"
)

// viaName is this node in Via: RFC 9110, 7.6.3, allows a pseudonym.
const viaName = "c100k"

// clientFields name the client of a request to an application that trusts its proxy. From a peer
// that is not trusted they are forgeries, and are removed. Some applications read "_" as "-".
var clientFields = map[string]bool{
	"Forwarded": true, "X-Real-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true, "Client-Ip": true,
	"True-Client-Ip": true, "Cf-Connecting-Ip": true, "Fastly-Client-Ip": true, "X-Original-Host": true,
	"X-Original-Forwarded-For": true, "X-Original-Url": true, "X-Rewrite-Url": true, "X-Host": true, "X-Scheme": true,
	"X-Url-Scheme": true, "Front-End-Https": true,
}

// isClientField tells whether a field names the client, also in another spelling.
func isClientField(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return clientFields[name] || strings.HasPrefix(name, "X-Forwarded-") || name == "X-Forwarded"
}

// rewrite makes the request to the application.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.opt.URL)
	r.Out.Host = r.In.Host
	trusted := p.opt.Trusted(r.In.RemoteAddr)
	for name := range r.In.Header {
		switch {
		case !isClientField(name):
		case trusted:
			r.Out.Header[name] = r.In.Header[name] // ReverseProxy has removed some of them
		default:
			r.Out.Header.Del(name)
			delete(r.Out.Header, name)
		}
	}
	p.setForwarded(r, trusted)
	r.Out.Header["Via"] = append(r.In.Header["Via"][:len(r.In.Header["Via"]):len(r.In.Header["Via"])], protocolOf(r.In)+" "+viaName)
	upgradeOnlyToWebSocket(r)
	// RFC 9110, 10.1.1: an expectation in an HTTP/1.0 request MUST be ignored.
	if !r.In.ProtoAtLeast(1, 1) {
		r.Out.Header.Del("Expect")
	}
}

// setForwarded adds the peer, and what a trusted proxy has not said already.
func (p *Proxy) setForwarded(r *httputil.ProxyRequest, trusted bool) {
	said := r.Out.Header.Clone()
	r.SetXForwarded()
	if !trusted {
		return
	}
	names := []string{"X-Forwarded-Host", "X-Forwarded-Proto"}
	if _, _, err := net.SplitHostPort(r.In.RemoteAddr); err != nil {
		names = append(names, "X-Forwarded-For") // a peer on a Unix socket has no address to add
	}
	for _, name := range names {
		if values := said[name]; len(values) > 0 {
			r.Out.Header[name] = values
		}
	}
}

func protocolOf(r *http.Request) string {
	return strings.TrimPrefix(r.Proto, "HTTP/")
}

// upgradeOnlyToWebSocket keeps every other protocol from becoming a tunnel behind our checks. A
// server may ignore an Upgrade (RFC 9110, 7.8), so the request goes on without it.
func upgradeOnlyToWebSocket(r *httputil.ProxyRequest) {
	r.Out.Header.Del("Http2-Settings")
	if r.Out.Header.Get("Upgrade") == "" {
		return
	}
	for _, list := range r.In.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") && r.In.ProtoAtLeast(1, 1) {
				r.Out.Header.Set("Upgrade", "websocket")
				return
			}
		}
	}
	r.Out.Header.Del("Upgrade")
	r.Out.Header.Del("Connection")
}
