// Without the build tag c100kdebug no invariant is checked.

//go:build !c100kdebug

package netpoll

func (l *Loop) verify() {}
