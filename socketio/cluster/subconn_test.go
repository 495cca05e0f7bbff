package cluster

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

// reading makes a connection whose server has said all that it will say.
func reading(text string) (*subConn, *Cluster) {
	c := newCluster(classic{}, nil, 0)
	r := &redisCarrier{cluster: c, wanted: map[subscription]bool{}}
	return &subConn{r: r, events: make(chan subEvent, 1024), in: bufio.NewReaderSize(strings.NewReader(text), subBufferBytes)}, c
}

func bulk(parts ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(parts))
	for _, p := range parts {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(p), p)
	}
	return text
}

func TestSubConn(t *testing.T) {
	for name, tt := range map[string]struct {
		text    string
		fine    bool // it is read to the end
		refused uint64
		moved   int
	}{
		"messages":            {text: bulk("message", "c", "x") + bulk("smessage", "c", "") + bulk("pmessage", "*", "c", "x"), fine: true},
		"answers":             {text: "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$12\r\npunsubscribe\r\n$1\r\nc\r\n:0\r\n" + bulk("pong", "") + "+PONG\r\n", fine: true},
		"large":               {text: bulk("message", "c", strings.Repeat("x", 1<<20)) + bulk("message", "c", "x"), fine: true},
		"a channel too large": {text: bulk("pmessage", "*", strings.Repeat("c", 1<<20), "x") + bulk("message", "c", "x"), fine: true, refused: 1},
		"too large":           {text: "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$104857600\r\n" + strings.Repeat("x", 100<<20) + "\r\n" + bulk("message", "c", "x"), fine: true, refused: 1},
		"a slot has moved":    {text: "-MOVED 77 127.0.0.1:1\r\n" + bulk("message", "c", "x"), fine: true, moved: 77},
		"another error":       {text: "-NOPERM no\r\n"},
		"not an array":        {text: "$1\r\nx\r\n"},
		"too many elements":   {text: "*5\r\n"},
		"none":                {text: "*-1\r\n"},
		"another kind":        {text: bulk("invalidate", "x")},
		"a kind with more":    {text: bulk("message", "x")},
		"no length":           {text: "*3\r\n$7\r\nmessage\r\n$\r\n"},
		"a negative length":   {text: "*3\r\n$7\r\nmessage\r\n$-1\r\n"},
		"a length of a lie":   {text: "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$536870912\r\nx", fine: true, refused: 1},
		"no number":           {text: "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n$1\r\n1\r\n"},
		"a line without end":  {text: strings.Repeat("x", 1<<20)},
		"half a line":         {text: "\n"},
	} {
		c, cluster := reading(tt.text)
		err := c.next()
		for err == nil {
			err = c.next()
		}
		if rest := c.in.Buffered(); (err.Error() == "EOF" && rest == 0) != tt.fine {
			t.Errorf("%s: %v, %d bytes are left", name, err, rest)
		}
		if n := cluster.Stats().Refused; n != tt.refused {
			t.Errorf("%s: %d refused", name, n)
		}
		if tt.moved != 0 {
			if e := <-c.events; e.moved != tt.moved {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// FuzzSubConn: nothing that a server says does harm.
func FuzzSubConn(f *testing.F) {
	f.Add(bulk("message", "c", "x") + bulk("pmessage", "*", "c", "x") + bulk("pong", ""))
	f.Add("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n-MOVED 1 x\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, _ := reading(text)
		for i := 0; c.next() == nil; i++ {
			if i > len(text) {
				t.Fatal("it reads nothing")
			}
			for len(c.events) > 0 {
				<-c.events
			}
		}
	})
}

func TestSlotOf(t *testing.T) {
	// As CLUSTER KEYSLOT says.
	for name, want := range map[string]int{"": 0, "foo": 12182, "{foo}bar": 12182, "x{foo}{y}": 12182, "123456789": 12739} {
		if slotOf(name) != want {
			t.Errorf("%q has slot %d, want %d", name, slotOf(name), want)
		}
	}
}
