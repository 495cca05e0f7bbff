// The build of tests whose clients speak a layer below the protocols: internal/e2e/layer_test.go.

//go:build layertest

package server

import (
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

func init() {
	layerOfBuild = func(int) netpoll.Layer { return new(netpolltest.XORLayer) }
}
