// What the programs that measure have in common: their end on a signal, and the choice of what they
// measure.

package rig

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Main runs a program until it ends or is interrupted, and ends the process: with 0, or with 1
// after the error was printed.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Names are those of all things of a kind.
func Names[T any](all []T, name func(T) string) []string {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = name(one)
	}
	return names
}

// Choose finds the things whose names are listed with commas, in the order of the list. kind names
// what they are, for the error about one that is not there.
func Choose[T any](kind string, all []T, name func(T) string, list string) (chosen []T, err error) {
	names := Names(all, name)
	for one := range strings.SplitSeq(list, ",") {
		i := slices.Index(names, strings.TrimSpace(one))
		if i < 0 {
			return nil, fmt.Errorf("no %s %q; there are %s", kind, one, strings.Join(names, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
