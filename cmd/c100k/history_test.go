// Tests of `sub` from a position on, and of `history`.

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"c100k/frame"
)

// expect wants the next command of the client.
func (p *peer) expect(command string) {
	if m, _ := p.next(); string(m.Payload) != command {
		p.t.Errorf("got %q, want %q", m.Payload, command)
	}
}

func TestSubResumes(t *testing.T) {
	restart := frame.AppendClose(nil, frame.CodeRestart, "service restart")
	url := serveScripts(t,
		func(p *peer) {
			p.expect(`{"id":1,"topics":[{"topic":"a","last":2},{"topic":"b","last":2}],"type":"subscribe"}`)
			p.send(`{"type":"welcome","conn":"00"}`, `{"type":"ack","id":1,"offsets":{"a":"e.1"}}`, `{"type":"resumed","topic":"a","messages":1}`,
				`{"type":"reset","topic":"b","reason":"unknown"}`, message("a", `"data":"one","offset":"e.2"`))
			p.raw(restart)
			p.drain()
		},
		func(p *peer) {
			p.expect(`{"id":1,"topics":[{"topic":"a","after":"e.2"},"b"],"type":"subscribe"}`)
			p.send(`{"type":"ack","id":1,"offsets":{"a":"e.2"}}`, `{"type":"resumed","topic":"a","messages":1}`, message("a", `"data":"two","offset":"e.3"`))
			p.raw(restart)
			p.drain()
		},
		func(p *peer) {
			p.expect(`{"id":1,"topics":[{"topic":"a","after":"e.3"},"b"],"type":"subscribe"}`)
			p.send(`{"type":"error","id":1,"code":"forbidden","message":"you may not have kept messages of \"a\""}`)
			p.expect(`{"id":1,"topics":["a","b"],"type":"subscribe"}`)
			p.send(`{"type":"ack","id":1,"offsets":{"a":"f.8"}}`, message("b", `"data":"three"`))
			p.drain()
		})
	code, out, errs := newProgram("sub", "a", "b", "--last", "2", "--url", url, "--count", "3").exec(t)
	if code != 0 || out != "a\tone\na\ttwo\nb\tthree\n" {
		t.Errorf("exit code %d, %q, %s", code, out, errs)
	}
	for _, want := range []string{"messages of b may be missing: what was published before cannot be had (unknown)", "missed 1 messages of a, which come now",
		"messages of b may be missing: the node keeps none", "messages of a may be missing: the node keeps none"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in %s", want, errs)
		}
	}
	for _, args := range []string{"--last 1001", "--last -1", "--rewind 5", "--after x", "--after e.1 --last 1", "b --after e.1", "--rewind 99999h"} {
		if code, _, errs := newProgram(append([]string{"sub", "a"}, strings.Fields(args)...)...).exec(t); code != exitUsage {
			t.Errorf("%s: exit code %d, %s", args, code, errs)
		}
	}
}

func TestHistoryPrints(t *testing.T) {
	var asked []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		switch {
		case strings.Contains(r.URL.Path, "none"):
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"title":"Not Found","detail":"nothing is kept"}`)
		case r.URL.Query().Get("after") == "":
			io.WriteString(w, `{"messages":[{"data":"one","offset":"e.1"},{"data":{"a":1},"offset":"e.2"}],"next":"e.2"}`)
		default:
			io.WriteString(w, `{"messages":[{"data_base64":"Yg==","offset":"e.3"}]}`)
		}
	}))
	defer node.Close()
	const head = "/v1/topics/a%2Fb/history?"
	for _, test := range []struct {
		args, out, asked string
		code             int
	}{
		{"a/b", "e.1\tone\ne.2\t{\"a\":1}\ne.3\tb\n", head + "limit=100 " + head + "after=e.2&limit=100", 0},
		{"a/b --limit 2 --reverse", "e.1\tone\ne.2\t{\"a\":1}\n", head + "limit=2&reverse=true", 0},
		{"a/b --limit 3 --json", `{"data":"one","offset":"e.1"}` + "\n" + `{"data":{"a":1},"offset":"e.2"}` + "\n" + `{"data_base64":"Yg==","offset":"e.3"}` + "\n",
			head + "limit=3 " + head + "after=e.2&limit=1", 0},
		{"a/b --after e.2", "e.3\tb\n", head + "after=e.2&limit=100", 0},
		{"none", "", "/v1/topics/none/history?limit=100", exitFailure},
		{"a --after x", "", "", exitUsage},
		{"a b", "", "", exitUsage},
	} {
		asked = nil
		code, out, errs := newProgram(append([]string{"history", "--admin-url", node.URL}, strings.Fields(test.args)...)...).exec(t)
		if code != test.code || out != test.out || strings.Join(asked, " ") != test.asked {
			t.Errorf("%s: exit code %d, %q, asked %s, %s", test.args, code, out, fmt.Sprint(asked), errs)
		}
	}
}
