package main

import "context"

func (b *bench) ablate(ctx context.Context, root string, o options, chosen []scenario) error {
	return nil
}
