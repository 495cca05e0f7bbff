// The table's lines, the median, and how a node's metrics are read.

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"c100k/bench/rig"
)

func TestFigure(t *testing.T) {
	for _, c := range []struct {
		f    figure
		want string
	}{
		{plainly("a", "%d", 1), "| a | 1 |  |"},
		{figure{"b", "2", "≤ 3", true}, "| b | 2 | ≤ 3 |"},
		{figure{"c", "4", "≤ 3", false}, "| c | 4 | ≤ 3, MISSED |"},
	} {
		if got := c.f.text(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Error(got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Error(got)
	}
}

func TestCounter(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# HELP a_total x\na_total_more 3\na_total 17\n")) // the test fails without it
	}))
	defer s.Close()
	n := &rig.Node{Admin: strings.TrimPrefix(s.URL, "http://")}
	if got, err := counter(n, "a_total"); got != 17 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := counter(n, "b_total"); err == nil {
		t.Error("a figure that is not there")
	}
}
