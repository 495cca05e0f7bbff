// Who may subscribe and publish, as long as there are no tokens.

package server

import "strings"

// topicPatterns are the public topics: names, or patterns in which a star stands for any run of characters.
type topicPatterns []string

func (t topicPatterns) match(topic string) bool {
	for _, pattern := range t {
		if matchPattern(pattern, topic) {
			return true
		}
	}
	return false
}

// matchPattern is a glob with stars only. It takes each star as short as possible and comes back to the last one alone when the
// rest does not fit, so it is quadratic at worst, over 255 bytes.
func matchPattern(pattern, s string) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for starred {
		var part string
		part, rest, starred = strings.Cut(rest, "*")
		if !starred {
			return strings.HasSuffix(s, part)
		}
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return s == ""
}

// maySubscribe: with Dev everything is open, without it what was configured open.
func (s *Server) maySubscribe(topic string) bool {
	return s.cfg.Dev || s.live.Load().public.match(topic)
}

// mayPublish: a client that has no token publishes only with Dev; the API publishes always.
func (s *Server) mayPublish() bool { return s.cfg.Dev }
