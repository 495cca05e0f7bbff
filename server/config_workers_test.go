// How many processes, and what each gets.

package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestWorkersFor(t *testing.T) {
	for _, test := range []struct{ conns, allowed, want int }{
		{0, 19_872, 1}, {1, 19_872, 1}, {19_872, 19_872, 1},
		{19_873, 19_872, 2},
		{34_000, 19_872, 2},  // 17,000 each, and 15 per cent more still fit
		{35_000, 19_872, 3},  // 17,500 each would not
		{100_000, 19_872, 6}, // 16,667 each; with 5 workers no connection would be left over
		{100_000, 999_872, 1},
		{1 << 24, 100, WorkersMax},
	} {
		if got := workersFor(test.conns, test.allowed); got != test.want {
			t.Errorf("%d connections, %d in each: %d workers, want %d", test.conns, test.allowed, got, test.want)
		}
	}
}

func TestShare(t *testing.T) {
	allowed := connsDefault()
	for _, test := range []struct {
		name    string
		c       Config
		workers int
		conns   int // of each
	}{
		{"one", Config{}, 1, allowed},
		{"all that the limit allows", Config{Workers: 3}, 3, allowed},
		{"a tenth more than the even share", Config{Workers: 4, MaxConns: 400}, 4, 110},
		{"an odd number", Config{Workers: 3, MaxConns: 10}, 3, 4},
		{"no more than the limit allows", Config{Workers: 2, MaxConns: 2 * allowed}, 2, allowed},
		{"one is enough", Config{Workers: WorkersAuto, MaxConns: 10}, 1, 11},
		{"nothing asked for", Config{Workers: WorkersAuto}, 1, allowed},
	} {
		c := test.c.WithDefaults()
		part := c.Share()
		if c.Workers != test.workers || part.Workers != 1 || part.MaxConns != min(test.conns, allowed) {
			t.Errorf("%s: %d workers with %d connections each, want %d with %d", test.name, c.Workers, part.MaxConns, test.workers, test.conns)
		}
		if c.Loops < 1 || c.Loops > max(1, loopsDefault()/c.Workers) {
			t.Errorf("%s: %d loops in each", test.name, c.Loops)
		}
		if err := c.FitsMachine(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	c := Config{Workers: WorkersAuto, MaxConns: connsMax}.WithDefaults()
	if allowed*WorkersMax < connsMax {
		var field *FieldError
		if err := c.FitsMachine(); !errors.As(err, &field) || field.Field != "MaxConns" || strings.Contains(field.Allowed, "take") {
			t.Errorf("more than all workers hold: %v", err)
		}
	}
}

func TestServerIsOneProcess(t *testing.T) {
	api := http.NotFoundHandler()
	for _, test := range []struct {
		field string
		c     Config
	}{
		{"Workers", Config{Workers: 2}},
		{"Worker", Config{Worker: &Worker{}}},
		{"Worker", Config{Worker: &Worker{Count: 1}}},
		{"Worker", Config{Worker: &Worker{Count: 1, API: api, LoopBase: -1}}},
		{"Worker", Config{Loops: 2, Worker: &Worker{Count: 1, API: api, LoopBase: 255}}},
		{"Worker", Config{Worker: &Worker{Number: 2, Count: 2, API: api}}},
		{"Worker", Config{Worker: &Worker{Number: -1, Count: 2, API: api}}},
		{"Worker", Config{Worker: &Worker{Count: WorkersMax + 1, API: api}}},
	} {
		s, err := New(test.c)
		var field *FieldError
		if !errors.As(err, &field) || field.Field != test.field {
			t.Errorf("%+v: %v, want an error of %s", test.c, err, test.field)
		}
		if err == nil {
			s.Close()
		}
	}
}
