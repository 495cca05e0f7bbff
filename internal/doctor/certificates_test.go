// Certificates in the report.

package doctor

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		c       Certificate
		verdict Verdict
		want    string
	}{
		{Certificate{Name: "a.example", End: now.Add(60 * day), Soon: 14 * day}, OK, "certificate a.example  until 2027-01-28, 60 days  more than 14 days  ok"},
		{Certificate{Name: "b.example", End: now.Add(30 * time.Hour), Soon: 36 * time.Hour}, Warn, "until 2026-11-30, 30 hours  more than 36 hours  warn"},
		{Certificate{Name: "c.crt", Err: errors.New("certificate c.crt has expired")}, Fail, "cannot be used"},
	} {
		var r Report
		r.AddCertificates([]Certificate{test.c}, now)
		var out bytes.Buffer
		if err := r.Write(&out); err != nil {
			t.Fatal(err)
		}
		if r.Certificates[0].Verdict != test.verdict || !strings.Contains(out.String(), test.want) || r.CertificatesGood() != (test.verdict != Fail) {
			t.Errorf("%s: %v, want %v and %q:\n%s", test.c.Name, r.Certificates[0].Verdict, test.verdict, test.want, out.String())
		}
	}
}
