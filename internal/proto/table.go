// The table of a process: which roles, wire forms, paths and labels belong to which protocol.

package proto

import (
	"fmt"
	"slices"

	"c100k/broadcast"
	"c100k/netpoll"
)

// Table is the rows of a process with the numbers that they were given.
type Table struct {
	rows       []numbered
	paths      map[string]int // index of the row
	any        int            // index of the row for upgrades to any other path, or -1
	encoders   []broadcast.Encoder
	formLabels []int    // index in transports, by form
	transports []string // labels, in the order of the first row that has each
	roles      netpoll.Role
}

// numbered is a row with its first role and form.
type numbered struct {
	Row
	role      netpoll.Role
	form      broadcast.Form
	transport int // index in Table.transports
}

// NewTable gives numbers to the rows: roles from first on, and wire forms from 0 on. The error
// names the row that conflicts with another, or that there is no number left for.
func NewTable(first netpoll.Role, rows []Row) (*Table, error) {
	t := &Table{paths: map[string]int{}, any: -1, roles: first}
	for i, row := range rows {
		if err := t.add(i, row); err != nil {
			return nil, fmt.Errorf("protocol %q: %w", row.Name, err)
		}
	}
	return t, nil
}

func (t *Table) add(i int, row Row) error {
	row.Roles = max(row.Roles, 1)
	switch {
	case row.Name == "" || row.Transport == "" || row.New == nil:
		return fmt.Errorf("a row needs a name, a transport and New")
	case t.index(row.Name) >= 0:
		return fmt.Errorf("there is another one of that name")
	case int(t.roles)+row.Roles > netpoll.RolesMax:
		return fmt.Errorf("no role is left: a loop has %d", netpoll.RolesMax)
	case len(t.encoders)+len(row.Encoders) > broadcast.FormsMax:
		return fmt.Errorf("no wire form is left: a hub has %d", broadcast.FormsMax)
	}
	for _, path := range row.Paths {
		if other, taken := t.paths[path]; taken {
			return fmt.Errorf("path %q is that of protocol %q", path, t.rows[other].Name)
		}
		t.paths[path] = i
	}
	if row.AnyPath {
		if t.any >= 0 {
			return fmt.Errorf("protocol %q has all paths of no other row already", t.rows[t.any].Name)
		}
		t.any = i
	}
	label := slices.Index(t.transports, row.Transport)
	if label < 0 {
		label = len(t.transports)
		t.transports = append(t.transports, row.Transport)
	}
	t.rows = append(t.rows, numbered{row, t.roles, broadcast.Form(len(t.encoders)), label})
	t.roles += netpoll.Role(row.Roles)
	t.encoders = append(t.encoders, row.Encoders...)
	for range row.Encoders {
		t.formLabels = append(t.formLabels, label)
	}
	return nil
}

// index is that of the row of a name, or -1.
func (t *Table) index(name string) int {
	return slices.IndexFunc(t.rows, func(r numbered) bool { return r.Name == name })
}

// Rows is how many protocols there are.
func (t *Table) Rows() int { return len(t.rows) }

// Row is the protocol with that index.
func (t *Table) Row(i int) *Row { return &t.rows[i].Row }

// ByPath is the index of the protocol that a request belongs to; the path is as it was sent.
// upgrade is asked, where that matters, whether the request is for another protocol on its
// connection.
func (t *Table) ByPath(path string, upgrade func() bool) (row int, ok bool) {
	if row, ok = t.paths[path]; ok || t.any < 0 {
		return row, ok
	}
	return t.any, upgrade()
}

// Role is the first role of the protocol of that name; ok is false if there is none.
func (t *Table) Role(name string) (role netpoll.Role, ok bool) {
	if i := t.index(name); i >= 0 {
		return t.rows[i].role, true
	}
	return 0, false
}

// Form is the first wire form of the protocol of that name, for a row that delivers in the forms of
// another; ok is false if there is none.
func (t *Table) Form(name string) (form broadcast.Form, ok bool) {
	if i := t.index(name); i >= 0 && len(t.rows[i].Encoders) > 0 {
		return t.rows[i].form, true
	}
	return 0, false
}

// Encoders makes the wire forms, by form.
func (t *Table) Encoders() []broadcast.Encoder { return t.encoders }

// PersonalForms has the bits of forms that are made for each member.
func (t *Table) PersonalForms() (forms uint32) {
	for _, r := range t.rows {
		forms |= r.Personal << r.form
	}
	return forms
}

// EncodedBytesMax is at least what the encoder of a form makes of a message, in bytes.
func (t *Table) EncodedBytesMax(f broadcast.Form, m *broadcast.Message) int {
	for i := range t.rows {
		if r := &t.rows[i]; f >= r.form && int(f-r.form) < len(r.Encoders) && r.EncodedBytesMax != nil {
			return r.EncodedBytesMax(int(f-r.form), m)
		}
	}
	return 2*(len(m.Payload)+len(m.Topic)+len(m.From())) + envelopeBytesMax
}

// envelopeBytesMax is the room for what a form puts around a payload, in bytes.
const envelopeBytesMax = 256

// Transports are the labels of the protocols, each once.
func (t *Table) Transports() []string { return t.transports }

// TransportOf is the label of a wire form that Encoders has.
func (t *Table) TransportOf(f broadcast.Form) string { return t.transports[t.formLabels[f]] }
