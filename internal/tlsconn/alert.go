// Alerts: RFC 8446, 6.

package tlsconn

import "fmt"

// alert is the description of an alert, and as an error the reason why a connection ends.
type alert uint8

const (
	alertCloseNotify       alert = 0
	alertUnexpectedMessage alert = 10
	alertBadRecordMAC      alert = 20
	alertRecordOverflow    alert = 22
	alertIllegalParameter  alert = 47
	alertDecodeError       alert = 50
	alertProtocolVersion   alert = 70
	alertInternalError     alert = 80
	alertUserCanceled      alert = 90
	alertNoRenegotiation   alert = 100

	// alertNone is no alert: it is not a value of the registry.
	alertNone alert = 255
)

const (
	levelWarning = 1
	levelFatal   = 2
)

// level is the level that an alert is sent with: RFC 5246, 7.2.
func (a alert) level() byte {
	if a == alertCloseNotify || a == alertNoRenegotiation {
		return levelWarning
	}
	return levelFatal
}

var alertNames = map[alert]string{
	alertCloseNotify: "close_notify", alertUnexpectedMessage: "unexpected_message", alertBadRecordMAC: "bad_record_mac",
	alertRecordOverflow: "record_overflow", alertIllegalParameter: "illegal_parameter", alertDecodeError: "decode_error",
	alertProtocolVersion: "protocol_version", alertInternalError: "internal_error", alertUserCanceled: "user_canceled",
	alertNoRenegotiation: "no_renegotiation",
}

// Error is the name of the alert.
func (a alert) Error() string {
	if name, ok := alertNames[a]; ok {
		return "tlsconn: " + name
	}
	return fmt.Sprintf("tlsconn: alert %d", uint8(a))
}

// appendPlain appends the alert as a record without encryption, for a peer with which there are no
// keys yet.
func (a alert) appendPlain(dst []byte) []byte {
	return append(dst, typeAlert, 3, 1, 0, 2, a.level(), byte(a))
}
