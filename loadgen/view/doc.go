// Package view shows a load run while it goes on: live on a terminal, one line a second elsewhere.
package view
