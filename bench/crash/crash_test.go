package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestCrash(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "c100k")
	if out, err := exec.Command("go", "build", "-o", binary, "c100k/cmd/c100k").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, workers := range []string{"1", "2"} {
		t.Run(workers+" workers", func(t *testing.T) {
			r, err := run(t.Context(), options{
				binary: binary, kills: 4, publishers: 4, topics: 2, workers: workers, sync: "100ms",
				lifeMin: 20 * time.Millisecond, lifeMax: 200 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if !r.met() || r.kills != 4 || r.resumed < 4 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// The judge sees what it is there for.
func TestJudge(t *testing.T) {
	m := func(payload, offset string) message { return message{payload, offset} }
	for name, one := range map[string]struct {
		list, acked []message
		want        result
	}{
		"nothing wrong":        {[]message{m("0-0", "e.1"), m("1-0", "e.2"), m("0-1", "e.5")}, []message{m("0-0", "e.1"), m("0-1", "e.5")}, result{}},
		"lost":                 {[]message{m("0-0", "e.1")}, []message{m("0-0", "e.1"), m("0-1", "e.2")}, result{lost: 1}},
		"doubled":              {[]message{m("0-0", "e.1"), m("0-0", "e.2")}, nil, result{doubled: 1}},
		"offsets go back":      {[]message{m("0-0", "e.2"), m("0-1", "e.1")}, nil, result{disordered: 1}},
		"out of order":         {[]message{m("0-1", "e.1"), m("0-0", "e.2")}, nil, result{disordered: 2}},
		"at another offset":    {[]message{m("0-0", "e.1")}, []message{m("0-0", "e.2")}, result{disordered: 1}},
		"a number left out":    {[]message{m("0-0", "e.1"), m("0-2", "e.2")}, nil, result{disordered: 1}},
		"an offset without it": {[]message{m("0-0", "")}, nil, result{disordered: 1}},
	} {
		r := result{}
		r.find(one.acked, r.order(one.list))
		if r != one.want {
			t.Errorf("%s: %+v, want %+v", name, r, one.want)
		}
	}
}
