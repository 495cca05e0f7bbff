// Package settings is the one list of what a user can set, and the four places where it can be set.
//
// There are only a few types. A Setting is a row of the table: its name, help, unit, default and
// the variable it fills. From that row, and from nowhere else, come the flag, the C100K_ variable,
// the key in the YAML file, the paragraph in --help, the one in `config init` and the line in
// `config show`. Options is the struct the rows fill. Load lays defaults < file < environment <
// flags over each other, fills an Options and remembers each value's Source. A Problem is one thing
// that is wrong, and says where it was said.
//
// Everything here runs once, at start or at a reload; nothing is safe for concurrent use.
package settings
