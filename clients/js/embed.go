// Package js is the client for pages, as a node serves it and as npm has it: dist/ is made of src/
// by build.mjs. README.md is for those who use it.
package js

import _ "embed" // the client

// Module is the client as an ES module.
//
//go:embed dist/c100k.mjs
var Module []byte

// Script is the client as a classic script, whose global is c100k.
//
//go:embed dist/c100k.js
var Script []byte
