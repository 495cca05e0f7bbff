package autobahn

import (
	"strings"
	"testing"
)

// The suite has 517 cases; each number is played once.
func TestEveryCaseIsThere(t *testing.T) {
	groups, seen := map[string]int{}, map[string]bool{}
	for _, c := range Cases(1) {
		group, _, _ := strings.Cut(c.ID, ".")
		groups[group]++
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
	}
	for group, want := range map[string]int{
		"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126,
	} {
		if groups[group] != want {
			t.Errorf("%d cases %s.*, want %d", groups[group], group, want)
		}
	}
	if len(seen) != 517 {
		t.Errorf("%d cases", len(seen))
	}
}
