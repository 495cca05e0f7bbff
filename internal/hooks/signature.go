// The signature of a request: the backend can tell who sent it, and when.

package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// SignatureHeader is the header field of the signature: "t=UNIX,v1=HEX". HEX is the HMAC-SHA256 of
// the time, a full stop and the body. The backend compares it in constant time, and refuses a time
// that is minutes away from its own, so that a recorded request cannot be used again.
const SignatureHeader = "C100K-Signature"

// sign is the value of SignatureHeader.
func sign(secret []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
