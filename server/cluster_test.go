// Nodes that form a cluster by themselves: no broker is installed.

package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"c100k/broadcast"
	"c100k/internal/netlab"
)

func secretFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789abcdef", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCluster: three nodes of which two know the first; one leaves and returns.
func TestCluster(t *testing.T) {
	file := secretFile(t)
	node := func(addr string, peers ...net.Addr) *Server {
		c := Config{Dev: true, Admin: "127.0.0.1:0", Loops: 1, Cluster: addr, ClusterSecretFile: file}
		for _, p := range peers {
			c.ClusterPeers = append(c.ClusterPeers, p.String())
		}
		return start(t, c)
	}
	one := node("127.0.0.1:0")
	two, three := node("127.0.0.1:0", one.ClusterAddr()), node("127.0.0.1:0", one.ClusterAddr())
	all := []*Server{one, two, three}
	know := func(peers int, nodes ...*Server) {
		t.Helper()
		for _, s := range nodes {
			eventually(t, "knows the others: "+fmt.Sprint(peers), func() bool { return s.readBus().Peers == peers && (adminNode{s}).busReady() == nil })
		}
	}
	know(2, all...)
	a := seat(t, all...)
	var stats struct {
		Nodes   []struct{ Node string }
		Total   struct{ Connections struct{ Total int } }
		Partial bool
		Silent  []string
	}
	eventually(t, "all nodes answer", func() bool { // those that have only just joined may not receive yet
		getJSON(t, "http://"+one.AdminAddr().String()+"/v1/stats?cluster=1", &stats)
		return len(stats.Nodes) == 3
	})
	if stats.Partial || len(stats.Silent) != 0 || stats.Total.Connections.Total != 9 {
		t.Errorf("%+v, want 9 connections on three nodes", stats)
	}
	for _, s := range all {
		r, err := s.PublishAll(t.Context(), "t", broadcast.Text, []byte("hello"))
		if err != nil || r.Matched != 9 {
			t.Errorf("%+v %v, want 9 subscribers on three nodes", r, err)
		}
		a.hear(t, "hello")
	}
	same := Config{Dev: true, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 1, Cluster: "127.0.0.1:0", ClusterSecretFile: file, ClusterPeers: []string{one.ClusterAddr().String()}}
	if err := two.Reload(same); err != nil {
		t.Errorf("a reload of the same: %v", err)
	}
	where := two.ClusterAddr()
	two.Close()
	know(1, one, three)
	two = node(where.String(), one.ClusterAddr())
	know(2, one, two, three)
	r, err := two.PublishAll(t.Context(), "t", broadcast.Text, []byte("again"))
	if err != nil || r.Matched != 6 {
		t.Errorf("%+v %v, want 6 subscribers on two nodes", r, err)
	}
}

// TestClusterHistory: three nodes with nothing installed keep history together. The servers answer
// only when a majority is there, so the nodes start at the same time.
func TestClusterHistory(t *testing.T) {
	file, where := secretFile(t), []string{netlab.KeepPort(t), netlab.KeepPort(t), netlab.KeepPort(t)}
	var all [3]*Server
	var listening [3]chan struct{}
	var failed [3]error
	var group sync.WaitGroup
	for i, addr := range where {
		listening[i] = make(chan struct{})
		c := Config{
			Dev: true, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 1, Cluster: addr, ClusterSecretFile: file,
			ClusterPeers: []string{where[(i+1)%3], where[(i+2)%3]}, History: []string{"chat.>=100,5m"}, HistoryDir: t.TempDir(),
			OnListen: func(net.Addr, net.Addr) { close(listening[i]) },
		}
		group.Go(func() { all[i], failed[i] = New(c) })
	}
	group.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		serve(t, s, listening[i])
	}
	r, err := http.Post("http://"+all[0].AdminAddr().String()+"/v1/topics/chat.a", "text/plain", strings.NewReader("kept"))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if !strings.Contains(string(answer), `"durable":"replicated"`) {
		t.Fatalf("%s", answer)
	}
	for _, s := range all {
		eventually(t, "the message is on every node", func() bool {
			var page struct{ Messages []struct{ Data string } }
			getJSON(t, "http://"+s.AdminAddr().String()+"/v1/topics/chat.a/history", &page)
			return len(page.Messages) == 1 && page.Messages[0].Data == "kept"
		})
	}
}

func TestClusterRefuses(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, c := range map[string]Config{
		"ClusterSecretFile": {Cluster: "127.0.0.1:0", ClusterSecretFile: short},
		"no such file":      {Cluster: "127.0.0.1:0", ClusterSecretFile: short + "er"},
		"in use":            {Cluster: taken.Addr().String(), ClusterSecretFile: secretFile(t)},
	} {
		c.Dev, c.Loops = true, 1
		s, err := New(c)
		if err == nil {
			s.Close()
			t.Errorf("%s: accepted", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if want == "in use" && !errors.Is(err, ErrBus) {
			t.Errorf("%v is no ErrBus", err)
		}
	}
}

func getJSON(t *testing.T, url string, to any) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(to); err != nil {
		t.Fatal(err)
	}
}
