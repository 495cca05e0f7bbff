// The rows of TLS.

package settings

import "c100k/server"

// certificateRows name the certificates of a node: c100k doctor looks at them, too.
var certificateRows = []string{"tls-cert", "tls-key", "acme", "acme-directory", "acme-storage", "admin-tls-cert", "admin-tls-key"}

// tlsRows are the settings of a node's TLS, in the order of help.
func tlsRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "tls-cert", Field: "TLSCerts", Value: texts(&n.TLSCerts, "FILE,..."), Example: "[/etc/c100k/example.com.crt]",
			Help: "certificate with its chain, PEM: the public port speaks TLS; once for each --tls-key, the name asked for (SNI) chooses, the first is the default; watched"},
		{Name: "tls-key", Field: "TLSKeys", Value: texts(&n.TLSKeys, "FILE,..."), Example: "[/etc/c100k/example.com.key]",
			Help: "key of the certificate of --tls-cert, PEM, in the same order; watched"},
		{Name: "tls-min", Field: "TLSMin", Value: choice(&n.TLSMin, server.TLSMin12, server.TLSMin13), Arg: "VERSION",
			Help: "least version of TLS: 1.2 or 1.3"},
		{Name: "tls-client-ca", Field: "TLSClientCA", Value: text(&n.TLSClientCA, "FILE"), Example: "/etc/c100k/clients-ca.pem",
			Help: "authorities that vouch for clients, PEM; watched"},
		{Name: "tls-client-auth", Field: "TLSClientAuth", Value: choice(&n.TLSClientAuth, server.ClientAuthOff, server.ClientAuthOptional, server.ClientAuthRequire),
			Help: "whether clients prove who they are by a certificate: off, optional or require"},
		{Name: "tls-ticket-keys", Field: "TLSTicketKeys", Value: text(&n.TLSTicketKeys, "FILE"), Default: "none: made at start, rotated daily", Example: "/etc/c100k/tickets",
			Help: "keys of session tickets, shared by the nodes behind one name: 64 hexadecimal digits a line, the first seals; watched"},
		{Name: "acme", Field: "ACME", Value: texts(&n.ACME, "DOMAIN,..."), Example: "[push.example.com]",
			Help: "names whose certificates an authority issues; you agree to its terms"},
		{Name: "acme-email", Field: "ACMEEmail", Value: text(&n.ACMEEmail, "ADDRESS"), Example: "ops@example.com",
			Help: "where the authority reaches you"},
		{Name: "acme-directory", Field: "ACMEDirectory", Value: text(&n.ACMEDirectory, "URL"), Default: "none: Let's Encrypt", Example: "https://acme.example.com/directory",
			Help: "directory of the authority"},
		{Name: "acme-storage", Field: "ACMEStorage", Value: text(&n.ACMEStorage, "DIR"), Example: "/var/lib/c100k/acme",
			Help: "directory of account and certificates, which nodes may share; needed with --acme"},
		{Name: "http-redirect", Field: "HTTPRedirect", Arg: "HOST:PORT", Value: text(&n.HTTPRedirect, "HOST:PORT"), Example: `":80"`,
			Help: "address of a port for plain HTTP, which answers 308 to https: and challenges of ACME"},
		{Name: "dev-tls", Field: "DevTLS", Value: toggle(&n.DevTLS),
			Help: "with --dev: TLS with a certificate made for this start; its fingerprint is printed"},
		{Name: "admin-tls-cert", Field: "AdminTLSCert", Value: text(&n.AdminTLSCert, "FILE"), Example: "/etc/c100k/admin.crt",
			Help: "certificate with its chain, PEM: the admin port speaks TLS; watched"},
		{Name: "admin-tls-key", Field: "AdminTLSKey", Value: text(&n.AdminTLSKey, "FILE"), Example: "/etc/c100k/admin.key",
			Help: "key of --admin-tls-cert, PEM; watched"},
	}
}
