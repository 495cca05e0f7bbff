package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	got := table([]*side{
		{name: "a", microseconds: []float64{4, 8, 5}},
		{name: "b", microseconds: []float64{2, 4, 10}},
	})
	for _, row := range []string{"| a | 5.000 | 4.000, 8.000 | 1.000 | 1.000, 1.000 |", "| b | 4.000 | 2.000, 10.000 | 0.500 | 0.500, 1.250 |"} {
		if !strings.Contains(got, row) {
			t.Errorf("no %q in\n%s", row, got)
		}
	}
}

func TestCounter(t *testing.T) {
	text := "TcpExt: A TCPOrigDataSent B\nTcpExt: 1 23 4\nIpExt: TCPOrigDataSent\nIpExt: 5\n"
	if n, err := counter(text, "TcpExt", "TCPOrigDataSent"); n != 23 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := counter(text, "TcpExt", "C"); err == nil {
		t.Errorf("%d for a counter that is not there", n)
	}
}

func TestBadArguments(t *testing.T) {
	good := options{rounds: 1, window: 1, messages: 1}
	for _, servers := range [][]string{nil, {"no command"}, {"x="}, {"x=/no/such/program"}} {
		if err := run(t.Context(), good, servers); err == nil {
			t.Errorf("%q is taken", servers)
		}
	}
}
