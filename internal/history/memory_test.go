package history_test

import (
	"testing"
	"time"

	"c100k/internal/history"
	"c100k/internal/history/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storetest.Backing {
		return &storetest.Backing{Open: func(_ *testing.T, rules *history.Rules, now func() time.Duration) history.Store {
			return history.NewMemory(rules, history.NewEpochs(1<<40), now)
		}}
	})
}
