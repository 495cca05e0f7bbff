// What the parser of smaps_rollup holds for any text.

package procfs

import (
	"testing"
)

func FuzzParsePrivate(f *testing.F) {
	f.Add("Rss: 9 kB\nPrivate_Clean:        4 kB\nPrivate_Dirty:       12 kB\n")
	f.Add("Private_Dirty: -1 kB\n")
	f.Add("Private_Clean: 9223372036854775807 kB\nPrivate_Dirty: 9007199254740991 kB\n")
	f.Fuzz(func(t *testing.T, text string) {
		sum, err := parsePrivate(text)
		if err != nil {
			return
		}
		if sum < 0 || sum%1024 != 0 {
			t.Fatalf("%d bytes", sum)
		}
		more, err := parsePrivate("Private_Hugetlb: 3 kB\n" + text)
		if err == nil && more != sum+3<<10 {
			t.Errorf("%d with 3 kB more than %d", more, sum)
		}
	})
}
