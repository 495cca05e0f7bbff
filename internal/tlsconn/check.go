// Check: what of a program's tls.Config is honoured.

package tlsconn

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// Check refuses a configuration of a server that this package does not honour as it is: the error
// names the field. Fields that it does not name are those of crypto/tls. What GetConfigForClient
// returns cannot be checked beforehand; a handshake that ends with another version or suite than
// those of this package is refused.
func Check(c *tls.Config) error {
	switch {
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil:
		return errors.New("no certificate: Certificates, GetCertificate and GetConfigForClient are empty")
	case c.MinVersion != 0 && c.MinVersion < tls.VersionTLS12:
		return fmt.Errorf("MinVersion is %s: TLS 1.2 is the oldest version that is served", tls.VersionName(c.MinVersion))
	case c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS12:
		return fmt.Errorf("MaxVersion is %s: TLS 1.2 is the oldest version that is served", tls.VersionName(c.MaxVersion))
	case c.MaxVersion != 0 && c.MaxVersion < c.MinVersion:
		return fmt.Errorf("MaxVersion %s is below MinVersion %s", tls.VersionName(c.MaxVersion), tls.VersionName(c.MinVersion))
	}
	for _, id := range c.CipherSuites {
		if suiteOf(id) == 0 {
			return fmt.Errorf("CipherSuites has %s: suites need an AEAD and forward secrecy", tls.CipherSuiteName(id))
		}
	}
	for _, proto := range c.NextProtos {
		if proto != protoHTTP && proto != protoACME {
			return fmt.Errorf("NextProtos has %q: want %s, and %s for certificates by ACME", proto, protoHTTP, protoACME)
		}
	}
	return nil
}
