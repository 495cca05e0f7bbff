package main

import (
	"testing"
	"time"
)

// Every scenario runs and gives each of its figures, but those that only c100k can tell.
func TestScenarios(t *testing.T) {
	eachFloor(t, func(t *testing.T, client clientBinary, s *server) {
		small := quickSize
		small.fanConns, small.echoConns, small.idleConns, small.warmConns = 20, 10, 30, 5
		small.seconds, small.warm, small.quiet = 50*time.Millisecond, 10*time.Millisecond, 20*time.Millisecond
		b := &bench{size: small, client: client, serverCore: -1, fanPath: "/broadcast", topicPath: "/ws?topic=t"}
		for _, sc := range scenarios(small) {
			t.Run(sc.name, func(t *testing.T) {
				got, err := sc.run(b, s)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range sc.figures {
					if _, ok := got.Figures[f.key]; !ok && f.key != "goroutines" {
						t.Errorf("no %q in %v", f.key, got.Figures)
					}
				}
			})
		}
	})
}
