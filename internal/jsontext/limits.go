// The package's one limit.

package jsontext

// DepthMax bounds how deeply arrays and objects may lie in one another, the outermost included: it
// bounds the scanner's stack, and what every reader of a message that is passed on has to bear.
const DepthMax = 64
