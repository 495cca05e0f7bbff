// Package uplot is uPlot, vendored: a chart library that a page can have in it, so that it opens
// without a network. What it is and where it comes from stands in README.md.
package uplot

import (
	_ "embed" // for the two files
	"html/template"
)

// Script and Style are the library's two files.
var (
	//go:embed uPlot.iife.min.js
	script string
	//go:embed uPlot.min.css
	style string

	Script = template.JS(script)
	Style  = template.CSS(style)
)
