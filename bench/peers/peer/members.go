package peer

// members.go: who is on /broadcast, for libraries whose examples leave that to their users.

import "sync"

// Members is a set that is walked far more often than it changes. The zero value is empty; it is
// safe for concurrent use.
type Members[T comparable] struct {
	mu     sync.RWMutex // guards the fields below
	dense  []T
	places map[T]int
}

// Add puts a member in.
func (s *Members[T]) Add(m T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil {
		s.places = make(map[T]int)
	}
	s.places[m] = len(s.dense)
	s.dense = append(s.dense, m)
}

// Remove takes a member out, if it is in.
func (s *Members[T]) Remove(m T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, ok := s.places[m]
	if !ok {
		return
	}
	end := len(s.dense) - 1
	last := s.dense[end]
	s.dense[place] = last
	s.places[last] = place
	delete(s.places, m)
	var none T
	s.dense[end] = none
	s.dense = s.dense[:end]
}

// Each calls f for every member. It holds the set: f must neither wait for a member nor add or
// remove one.
func (s *Members[T]) Each(f func(T)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.dense {
		f(m)
	}
}
