package node

import (
	"testing"
	"time"
)

// crowdPlayer is a crowd whose time is the test's.
type crowdPlayer struct {
	*crowd
	due   func() // the next look, nil if there is none
	given int
}

func newCrowdPlayer(open int) *crowdPlayer {
	p := &crowdPlayer{crowd: newCrowd(func() int { return open })}
	p.give = func() { p.given++ }
	p.after = func(_ time.Duration, look func()) { p.due = look }
	return p
}

// pass is a second in which so many come or go.
func (p *crowdPlayer) pass(moves int) {
	look := p.due
	p.due = nil
	if look != nil {
		look()
	}
	for range moves {
		p.moved()
	}
}

func TestCrowd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		open  int
		moves []int // second by second
		given int
		looks bool // somebody still looks
	}{
		{"nobody", 0, []int{0, 0, 0}, 0, false},
		{"a crowd, then nobody", 0, []int{crowdMin, 0, 0, 0}, 1, false},
		{"a crowd that comes and comes", 0, []int{crowdMin, crowdMin, crowdMin}, 0, true},
		{"quiet after a long time", 0, []int{crowdMin, crowdMin, crowdMin, 0, 0}, 1, false},
		{"a few are no crowd", 0, []int{10, 0, 0}, 0, false},
		{"many times a few are one", 0, []int{crowdMin - 10, 0, 0, 10, 0, 0}, 1, false},
		{"a trickle does not hold it up", 0, []int{crowdMin, crowdTrickle, crowdTrickle}, 1, true},
		{"a small crowd where there are many", 16 * crowdMin, []int{crowdMin, 0, 0}, 0, false},
		{"a large crowd where there are many", 16 * crowdMin, []int{2 * crowdMin, 0, 0}, 1, false},
		{"one crowd after the other", 0, []int{crowdMin, 0, 0, crowdMin, 0, 0}, 2, false},
	} {
		p := newCrowdPlayer(tt.open)
		for _, moves := range tt.moves {
			p.pass(moves)
		}
		if p.given != tt.given || (p.due != nil) != tt.looks {
			t.Errorf("%s: memory was given back %d times, want %d; somebody looks: %v, want %v", tt.name, p.given, tt.given, p.due != nil, tt.looks)
		}
	}
}

func TestStartingIsACrowd(t *testing.T) {
	p := newCrowdPlayer(0)
	p.started()
	p.pass(10)
	p.pass(0)
	if p.given != 1 || p.due != nil {
		t.Errorf("memory was given back %d times, want once; somebody looks: %v", p.given, p.due != nil)
	}
}

func TestCrowdEndsWithTheNode(t *testing.T) {
	p := newCrowdPlayer(0)
	p.pass(crowdMin)
	p.closed.Store(true)
	p.pass(0)
	p.pass(0)
	if p.given != 0 || p.due != nil {
		t.Errorf("memory was given back %d times, and somebody looks: %v", p.given, p.due != nil)
	}
}
