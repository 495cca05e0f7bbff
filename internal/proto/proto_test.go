package proto

import (
	"fmt"
	"strings"
	"testing"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/netpoll"
)

// plain is a protocol whose members are its connections.
type plain struct{ name string }

func (plain) OnOpen(*netpoll.Loop, *netpoll.Conn)                  {}
func (plain) OnData(*netpoll.Loop, *netpoll.Conn, []byte)          {}
func (plain) OnTimer(*netpoll.Loop, *netpoll.Conn)                 {}
func (plain) OnWritable(*netpoll.Loop, *netpoll.Conn)              {}
func (plain) OnClose(*netpoll.Loop, *netpoll.Conn, netpoll.Reason) {}
func (plain) Drain(*netpoll.Loop, *netpoll.Conn)                   {}
func (plain) Kick(*netpoll.Loop, *netpoll.Conn)                    {}
func (plain) Slow(*netpoll.Loop, *netpoll.Conn)                    {}
func (plain) Gap(dst []byte, _ broadcast.Form, _ string, _ uint32) []byte {
	return dst
}

func (plain) Shed(*netpoll.Loop, *netpoll.Conn) {}

// rich is one that has members of its own, and a last word.
type rich struct{ plain }

func (rich) MemberPending(*netpoll.Loop, *netpoll.Conn) int                      { return 0 }
func (rich) MemberSend(*netpoll.Loop, *netpoll.Conn, []byte, uint32, uint32)     {}
func (rich) MemberDrop(*netpoll.Loop, *netpoll.Conn, int, func(_, _ uint32)) int { return 0 }
func (rich) Panicked(*netpoll.Loop, *netpoll.Conn)                               {}

func serve(*netpoll.Loop, *netpoll.Conn, *edge.Head, []byte, *auth.Principal) edge.Decision {
	return edge.Handled
}

// row makes a row with so many roles and forms.
func row(name string, roles, forms int, paths ...string) Row {
	return Row{
		Name: name, Transport: "t" + name[:1], Roles: roles, Paths: paths, Encoders: make([]broadcast.Encoder, forms),
		New: func(*Place) Part { return Part{Protocols: []Protocol{plain{name}}, Serve: serve} },
	}
}

func TestTable(t *testing.T) {
	three := row("c", 3, 2, "/c", "/c/")
	three.CountsClients = true
	three.New = func(p *Place) Part {
		if p.Role != 4 || p.Form != 3 {
			t.Errorf("row c has role %d and form %d", p.Role, p.Form)
		}
		return Part{Protocols: []Protocol{plain{"c0"}, rich{plain{"c1"}}, plain{"c2"}}, Serve: serve}
	}
	table, err := NewTable(2, []Row{row("a", 0, 3, "/a"), row("bare", 1, 0), three})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/a": 0, "/c": 2, "/c/": 2, "/": -1, "/a/": -1, "/%61": -1} {
		if got, ok := table.ByPath(path, nil); ok != (want >= 0) || ok && got != want {
			t.Errorf("path %q: row %d, %v; want %d", path, got, ok, want)
		}
	}
	if role, ok := table.Role("bare"); role != 3 || !ok {
		t.Errorf("role of bare: %d %v", role, ok)
	}
	if form, ok := table.Form("c"); form != 3 || !ok {
		t.Errorf("form of c: %d %v", form, ok)
	}
	for _, name := range []string{"bare", "none"} {
		if _, ok := table.Form(name); ok {
			t.Errorf("%s has a form", name)
		}
	}
	if got := fmt.Sprint(table.Transports(), table.TransportOf(2), table.TransportOf(4), len(table.Encoders())); got != "[ta tb tc]tatc5" {
		t.Errorf("got %s", got)
	}

	// The protocols of a loop are found by role.
	var handlers [netpoll.RolesMax]netpoll.Handler
	counts := []*Count{{}, {}, {}}
	protocols, err := table.Make(Place{}, counts, &handlers)
	if err != nil {
		t.Fatal(err)
	}
	for role := range netpoll.Role(netpoll.RolesMax) {
		want := []string{2: "a", 3: "bare", 4: "c0", 5: "c1", 6: "c2", netpoll.RolesMax - 1: ""}[role]
		name := ""
		switch p := protocols.At(role).(type) {
		case plain:
			name = p.name
		case rich:
			name = p.name
		}
		if name != want || (handlers[role] != nil) != (want != "") {
			t.Errorf("role %d: %q, want %q", role, name, want)
		}
		if own := want == "c1"; (protocols.Members(role) != nil) != own || (protocols.LastWord(role) != nil) != own {
			t.Errorf("role %d has members of its own, or a last word; want %v", role, own)
		}
	}
	// Connections are counted where clients are not.
	handlers[2].OnOpen(nil, nil)
	handlers[2].OnClose(nil, nil, netpoll.ReasonPeer)
	handlers[5].OnOpen(nil, nil)
	if counts[0].OpenedTotal() != 1 || counts[0].ClosedTotal(netpoll.ReasonPeer) != 1 || counts[2].OpenedTotal() != 0 {
		t.Errorf("counted: %d %d %d", counts[0].OpenedTotal(), counts[0].ClosedTotal(netpoll.ReasonPeer), counts[2].OpenedTotal())
	}
}

// anyPath makes a row of any path, and of the path of its name.
func anyPath(name string) Row {
	r := row(name, 1, 0, "/"+name)
	r.AnyPath = true
	return r
}

// A row of any path serves the upgrades to paths of no other row.
func TestAnyPath(t *testing.T) {
	table, err := NewTable(2, []Row{row("a", 1, 0, "/a"), anyPath("rest")})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/a": 0, "/rest": 1, "/": 1, "": 1} {
		if got, ok := table.ByPath(path, func() bool { return true }); !ok || got != want {
			t.Errorf("path %q: row %d %v, want %d", path, got, ok, want)
		}
	}
	if _, ok := table.ByPath("/", func() bool { return false }); ok {
		t.Error("a request that is no upgrade is for net/http")
	}
}

func TestTableRefuses(t *testing.T) {
	many := make([]Row, netpoll.RolesMax)
	for i := range many {
		many[i] = row(fmt.Sprint(i), 1, 0)
	}
	for want, rows := range map[string][]Row{
		`protocol "b": path "/a" is that of protocol "a"`: {row("a", 1, 0, "/a"), row("b", 1, 0, "/b", "/a")},
		"another one of that name":                        {row("a", 1, 0), row("a", 1, 0)},
		"needs a name":                                    {{Name: "a", Transport: "t"}},
		"has all paths of no other row":                   {anyPath("a"), anyPath("b")},
		"no role is left":                                 many,
		"no wire form is left":                            {row("a", 1, broadcast.FormsMax), row("b", 1, 1)},
	} {
		if _, err := NewTable(2, rows); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	// What a row makes must be what it has said.
	for _, r := range []Row{row("two", 2, 0), {
		Name: "deaf", Transport: "t", Paths: []string{"/"}, New: func(*Place) Part { return Part{Protocols: []Protocol{plain{}}} },
	}} {
		table, err := NewTable(2, []Row{r})
		if err != nil {
			t.Fatal(err)
		}
		var handlers [netpoll.RolesMax]netpoll.Handler
		if _, err := table.Make(Place{}, []*Count{{}}, &handlers); err == nil || !strings.Contains(err.Error(), r.Name) {
			t.Errorf("row %s: %v", r.Name, err)
		}
	}
}
