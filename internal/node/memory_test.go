package node

import (
	"testing"

	"c100k/internal/budget"
	"c100k/internal/edge"
)

func TestSizesRiseWithTheirClasses(t *testing.T) {
	before := 0
	for n := range 1 << 16 {
		class := sizeClass(n)
		if class < before || class > before+1 && n > 4 {
			t.Fatalf("%d bytes are of class %d, one less of %d", n, class, before)
		}
		before = class
	}
	if class := sizeClass(1<<62 + 1<<61 + 1<<60); class >= sizeClasses {
		t.Errorf("class %d of %d", class, sizeClasses)
	}
}

func TestTheLargestAreEnded(t *testing.T) {
	var sizes [sizeClasses]int64
	for _, n := range []int{100, 100, 5000, 70000, 70000} {
		sizes[sizeClass(n)] += int64(n)
	}
	for _, c := range []struct {
		toFree int64
		least  int
	}{{1, 70000}, {140000, 70000}, {140001, 5000}, {145001, 100}} {
		if got := leastClass(&sizes, c.toFree); got != sizeClass(c.least) {
			t.Errorf("%d bytes: class %d, want that of %d bytes", c.toFree, got, c.least)
		}
	}
	if got := leastClass(&sizes, 1<<40); got != 1 {
		t.Errorf("all: class %d", got) // and none that holds nothing
	}
}

// A client whose topics exist for it alone is ended when topics take too much; one that hears what
// others hear, too, is not.
func TestTopicsOfOneClientCount(t *testing.T) {
	var n *Node
	b := budget.New(1<<20, func() { n.WakeAll() })
	n = start(t, func(cfg *Config) { cfg.Loops, cfg.Budget, cfg.Admission = 1, b, &edge.Admission{Short: b.Short} })
	b.Watch(func() int64 { return int64(n.Hub().TopicCount()) * 1000 })
	address := listen(t, n)
	var others []*client
	for range 2 {
		c := dial(t, address)
		c.send("GET /lines?shared HTTP/1.1\r\nHost: h\r\n\r\n")
		c.expect("+-")
		others = append(others, c)
	}
	alone := dial(t, address)
	alone.send("GET /lines?mine HTTP/1.1\r\nHost: h\r\n\r\n")
	alone.expect("+-")
	b.Add(1 << 20)
	alone.expect("shed")
	b.Add(-1 << 20)
	for _, c := range others {
		c.send("here\n")
		c.expect("here")
	}
}
