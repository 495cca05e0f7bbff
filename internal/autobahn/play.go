// Playing the cases.

package autobahn

import (
	"context"
	"fmt"
)

// Case is one case.
type Case struct {
	ID string // its number in the suite: "6.12.3"

	// Offer is the Sec-WebSocket-Extensions field of the handshake, empty for none.
	Offer string

	play func(c *client) error
}

// Outcome says how a case has ended.
type Outcome string

// The outcomes.
const (
	OK            Outcome = "ok"
	Informational Outcome = "informational" // the suite has no right answer for it
	Unimplemented Outcome = "unimplemented" // the server declines what was offered
	Failed        Outcome = "failed"
)

// Result is what came of a case.
type Result struct {
	Case    string
	Outcome Outcome
	Err     error // why it has failed
}

// Play plays cases, each on a connection of its own. ctx bounds all of them.
func Play(ctx context.Context, url string, cases []Case) []Result {
	var results []Result
	for _, one := range cases {
		outcome, err := one.on(ctx, url)
		results = append(results, Result{one.ID, outcome, err})
	}
	return results
}

func (k *Case) on(ctx context.Context, url string) (Outcome, error) {
	c, err := dial(ctx, url, k.Offer)
	if err != nil {
		return Failed, fmt.Errorf("dial: %w", err)
	}
	defer c.close()
	if k.Offer != "" && c.extension == "" {
		if err := c.finish(); err != nil {
			return Failed, err
		}
		return Unimplemented, nil
	}
	if err := k.play(c); err != nil {
		return Failed, err
	}
	switch k.ID {
	case "7.1.6", "7.13.1", "7.13.2":
		return Informational, nil
	}
	return OK, nil
}
