// Parsers of sizes, rates, durations and networks, and their opposites.

package settings

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// sizeUnits are the units of a size. A letter alone is binary, as with nginx and systemd.
var sizeUnits = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
}

// parseSize reads "65536", "64KiB", "1.5 MiB", "1MB" as bytes.
func parseSize(s string) (int, error) {
	digits := strings.TrimRight(s, "bBiIkKmMgG ")
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	number, err := parseDecimal(digits)
	bytes := number * unit
	switch {
	case err != nil || !known:
		return 0, fmt.Errorf("%q is not a size: write 65536, 64KiB or 1MiB", s)
	case bytes != math.Trunc(bytes):
		return 0, fmt.Errorf("%q is not a whole number of bytes", s)
	case bytes > math.MaxInt32*1024: // 2 TiB: beyond every bound, and far from where float64 loses bytes
		return 0, fmt.Errorf("%q is too large for a size", s)
	}
	return int(bytes), nil
}

// parseDecimal takes digits and one point, without sign, exponent, hexadecimal form or the names of
// infinity.
func parseDecimal(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(s, 64)
}

func formatSize(bytes int) string {
	for _, unit := range []struct {
		name string
		size int
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.size && bytes%unit.size == 0 {
			return strconv.Itoa(bytes/unit.size) + unit.name
		}
	}
	return strconv.Itoa(bytes)
}

// parseRate reads "20", "20/s", "600/m", "5/h" and "off" as a number a second.
func parseRate(s string) (float64, error) {
	if s == "off" {
		return 0, nil
	}
	digits, per, _ := strings.Cut(s, "/")
	number, err := parseDecimal(digits)
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[per]
	if per == "" && !strings.Contains(s, "/") {
		seconds, known = 1, true
	}
	if err != nil || !known {
		return 0, fmt.Errorf("%q is not a rate: write 20/s, 600/m or off", s)
	}
	return number / seconds, nil
}

func formatRate(perSecond float64) string {
	if perSecond == 0 {
		return "off"
	}
	return strconv.FormatFloat(perSecond, 'f', -1, 64) + "/s"
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if _, numeric := parseDecimal(s); numeric == nil {
			return 0, fmt.Errorf("%q has no unit: write %ss or %sms", s, s, s)
		}
		return 0, fmt.Errorf("%q is not a duration: write 500ms, 30s or 5m", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return d, nil
}

// formatDuration writes 30s, 1m and 24h where time.Duration writes 30s, 1m0s and 24h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseNetwork reads a CIDR, or an address alone as the network of that one address.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network: write 10.0.0.0/8 or 2001:db8::/32", s)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its prefix length: write %v", s, prefix.Masked())
	}
	return prefix, nil
}
