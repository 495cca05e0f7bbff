// Requests of Socket.IO clients at a node of several processes, with real ones.

package workers

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exchange sends a request on a connection of its own and reads the answer.
func (r *running) exchange(request string) (status int, body string, err error) {
	conn, err := net.Dial("tcp", r.public)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

func pollRequest(method, sid, body string) string {
	return fmt.Sprintf("%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", method, sid, len(body), body)
}

// session opens a session, and returns its id as a parameter.
func (r *running) session() (sid string) {
	r.t.Helper()
	status, body, err := r.exchange(pollRequest("GET", "", ""))
	var told struct{ SID string }
	if err != nil || status != 200 || json.Unmarshal([]byte(body[1:]), &told) != nil {
		r.t.Fatalf("%d %s %v", status, body, err)
	}
	return "&sid=" + told.SID
}

// workerOf is the worker that a session's id names.
func workerOf(t *testing.T, sid string) int {
	t.Helper()
	id, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(sid, "&sid="))
	if err != nil || len(id) != 15 {
		t.Fatalf("%s: %v", sid, err)
	}
	return int(id[10])
}

// TestSessionsOfANode: whichever worker gets a request, it is served; and the session ends with its
// worker alone.
func TestSessionsOfANode(t *testing.T) {
	r := start(t, nil)
	const many, each = 6, 8
	var sids []string
	for range many {
		sids = append(sids, r.session())
	}
	payload := "40"
	for range each {
		for _, sid := range sids {
			if status, body, err := r.exchange(pollRequest("POST", sid, payload)); status != 200 {
				t.Fatalf("%d %s %v", status, body, err)
			}
		}
		payload = `42["unsubscribe","a"]`
	}
	s := r.stats()
	if s.RequestsMoved == 0 || s.RequestsMoved >= many*each || s.HandshakesRejected["unknown_session"] != 0 {
		t.Errorf("%d of %d requests were moved; rejected: %v", s.RequestsMoved, many*each, s.HandshakesRejected)
	}

	if err := syscall.Kill(s.Workers[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.eventually("started again", func() error {
		if w := r.stats().Workers[1]; w.Restarts != 1 || w.State != "serving" {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	for range each {
		for _, sid := range sids {
			status, body, err := r.exchange(pollRequest("POST", sid, payload))
			if status != 200 && (status != 400 || !strings.Contains(body, "Session ID unknown")) {
				t.Fatalf("%d %s %v", status, body, err)
			}
		}
	}
	if after := r.stats().RequestsMoved; after <= s.RequestsMoved {
		t.Errorf("%d requests were moved, and %d before: none was since, or the dead worker's are forgotten", after, s.RequestsMoved)
	}
}

// TestSessionsOfHungWorker: most requests for a session of a hung worker are answered that it is
// unknown, or that there is no room, at once or soon. All get an answer when the worker goes on.
func TestSessionsOfHungWorker(t *testing.T) {
	r := start(t, nil)
	sid := r.session()
	home := r.stats().Workers[workerOf(t, sid)]
	if err := syscall.Kill(home.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(home.PID, syscall.SIGCONT) }
	defer goOn()
	const many = 300
	request := strings.Replace(pollRequest("GET", sid, ""), "Host: localhost", "Host: localhost\r\nX-Long: "+strings.Repeat("x", 7000), 1)
	answers := make(chan string, many)
	for range many {
		go func() {
			status, body, err := r.exchange(request)
			answers <- fmt.Sprint(status, " ", body, " ", err)
		}()
	}
	told := 0            // that it is unknown
	for range many / 3 { // a third or so is in the listen queue of the one that hangs, and some are in its link
		select {
		case answer := <-answers:
			if unknown := strings.HasPrefix(answer, "400 ") && strings.Contains(answer, "Session ID unknown"); unknown {
				told++
			} else if !strings.HasPrefix(answer, "503 ") {
				t.Fatal(answer)
			}
		case <-time.After(patience):
			t.Fatal("those whom nobody serves get no answer")
		}
	}
	if told == 0 {
		t.Error("nobody is told that the session is unknown")
	}
	goOn()
	for range many - many/3 {
		select {
		case answer := <-answers:
			if strings.HasPrefix(answer, "0 ") {
				t.Errorf("no answer: %s", answer)
			}
		case <-time.After(patience):
			t.Fatal("not all get an answer")
		}
	}
}
