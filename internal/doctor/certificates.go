// Certificates that the configuration names: how long each is still good.

package doctor

import (
	"fmt"
	"time"
)

// Certificate is what is known of one.
type Certificate struct {
	Name string // its first name, or its file where that cannot be read
	End  time.Time
	Soon time.Duration // before its end by which it should have been renewed
	Err  error         // why it cannot be used; nil: it can
}

const day = 24 * time.Hour

// AddCertificates adds a check for each certificate. They say nothing about connections, so Able
// stays what it is.
func (r *Report) AddCertificates(all []Certificate, now time.Time) {
	for _, c := range all {
		r.Certificates = append(r.Certificates, c.check(now))
	}
}

// CertificatesGood tells whether no certificate has failed.
func (r *Report) CertificatesGood() bool {
	for _, c := range r.Certificates {
		if c.Verdict == Fail {
			return false
		}
	}
	return true
}

func (c *Certificate) check(now time.Time) Check {
	k := Check{Name: "certificate " + c.Name, Verdict: OK, holds: noBound}
	if c.Err != nil {
		k.Verdict, k.Value, k.Needed = Fail, "cannot be used", "a certificate and its key"
		k.Note, k.Lift = "clients cannot connect", c.Err.Error()
		return k
	}
	left := c.End.Sub(now)
	k.Value = fmt.Sprintf("until %s, %s", c.End.UTC().Format(time.DateOnly), days(left))
	k.Needed = "more than " + days(c.Soon)
	if left < c.Soon {
		k.Verdict, k.Note = Warn, "clients refuse it from then on"
		k.Lift = "renew it; the node watches its files and takes the new one without a restart"
	}
	return k
}

// days is a duration as a person counts it.
func days(d time.Duration) string {
	if d < 2*day {
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	}
	return fmt.Sprintf("%d days", int(d/day))
}
