// A cluster that needs nothing installed, on three machines of one network: one is cut off.

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"c100k/internal/netlab"
)

// clusterNode is a node on a machine of its own, and a subscriber of it.
type clusterNode struct {
	host   *netlab.Host
	client *http.Client

	mu    sync.Mutex // guards the field below
	heard []int      // numbers of messages, in the order in which they came
}

// startNodes starts three nodes that know each other.
func startNodes(t *testing.T, lab *netlab.Lab) []*clusterNode {
	t.Helper()
	secret := filepath.Join(lab.Dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0123456789abcdef", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes := make([]*clusterNode, 3)
	for i := range nodes {
		h, err := lab.Add("node" + strconv.Itoa(i+1))
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = &clusterNode{host: h, client: &http.Client{Transport: &http.Transport{DialContext: h.Dial}}}
		t.Cleanup(nodes[i].client.CloseIdleConnections)
	}
	for i, n := range nodes {
		args := []string{"serve", "--dev", "--workers", "1", "--listen", "127.0.0.1:8080", "--admin", "127.0.0.1:9100",
			"--cluster", n.host.Address + ":7400", "--cluster-secret-file", secret}
		for j, peer := range nodes {
			if j != i {
				args = append(args, "--cluster-peer", peer.host.Address+":7400")
			}
		}
		if _, err := n.host.Start("", binary, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		n.awaitPeers(t, 2)
	}
	return nodes
}

// ask sends a request to the node from its own machine.
func (n *clusterNode) ask(method, url, body string) (string, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	answer, err := n.client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return string(text), err
}

// figure is a metric of the node.
func (n *clusterNode) figure(name string) (int, error) {
	text, err := n.ask("GET", "http://127.0.0.1:9100/metrics", "")
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+" "); found {
			return strconv.Atoi(value)
		}
	}
	return 0, errors.Join(err, errors.New("no "+name))
}

func (n *clusterNode) awaitPeers(t *testing.T, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s hears %d others", n.host.Name, want), func() error {
		got, err := n.figure("c100k_bus_peers")
		if err == nil && got != want {
			err = fmt.Errorf("%d", got)
		}
		return err
	})
}

// publish publishes a number, and returns whether the answer counts all nodes.
func (n *clusterNode) publish(t *testing.T, number int) (whole bool) {
	t.Helper()
	text, err := n.ask("POST", "http://127.0.0.1:9100/v1/topics/t", strconv.Itoa(number))
	var answer struct{ Partial bool }
	if err == nil {
		err = json.Unmarshal([]byte(text), &answer)
	}
	if err != nil {
		t.Fatalf("%s: publish: %v", n.host.Name, err)
	}
	return !answer.Partial
}

// subscribe reads the events of the node until the test ends.
func (n *clusterNode) subscribe(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:8080/sse?topic=t", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := n.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			if number, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "data: ")); err == nil {
				n.mu.Lock()
				n.heard = append(n.heard, number)
				n.mu.Unlock()
			}
		}
	}()
}

// hears returns the numbers that have come, of those from first on and below last.
func (n *clusterNode) hears(first, last int) (list []int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, number := range n.heard {
		if number >= first && number < last {
			list = append(list, number)
		}
	}
	return list
}

// The others notice after three seconds that a node is cut off, so this test takes some seconds.
func TestPartition(t *testing.T) {
	if err := netlab.Check(); err != nil {
		t.Skip(err)
	}
	lab, err := netlab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lab.Close)
	nodes := startNodes(t, lab)
	for _, n := range nodes {
		n.subscribe(t)
	}
	here, third, cut := nodes[0], nodes[1], nodes[2]
	const ofCut = 1 << 20 // numbers from here on are published on the node that is cut off
	next, nextOfCut := 0, ofCut
	eventually(t, "all hear all", func() error {
		here.publish(t, next)
		cut.publish(t, nextOfCut)
		next, nextOfCut = next+1, nextOfCut+1
		for _, n := range nodes {
			if len(n.hears(0, ofCut)) == 0 || len(n.hears(ofCut, 2*ofCut)) == 0 {
				return errors.New(n.host.Name + " does not")
			}
		}
		return nil
	})

	if err := cut.host.Plug(false); err != nil {
		t.Fatal(err)
	}
	// A publish says that a node is silent, until that is known to be away.
	silent := false
	eventually(t, "the others know", func() error {
		silent = !here.publish(t, next) || silent
		next++
		peers, err := here.figure("c100k_bus_peers")
		if err == nil && peers != 1 {
			err = fmt.Errorf("%d peers", peers)
		}
		return err
	})
	if !silent {
		t.Error("no publish has said that it did not reach all")
	}
	cut.awaitPeers(t, 0)
	for range 20 {
		here.publish(t, next)
		if !cut.publish(t, nextOfCut) {
			t.Error("those who are known to be away are not asked")
		}
		next, nextOfCut = next+1, nextOfCut+1
	}
	if _, err := cut.ask("GET", "http://127.0.0.1:9100/readyz", ""); err != nil {
		t.Errorf("a node that is cut off serves its own clients: %v", err)
	}

	if err := cut.host.Plug(true); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		n.awaitPeers(t, 2)
	}
	eventually(t, "both sides hear each other", func() error {
		here.publish(t, next)
		cut.publish(t, nextOfCut)
		next, nextOfCut = next+1, nextOfCut+1
		if !slices.Contains(cut.hears(0, ofCut), next-1) || !slices.Contains(here.hears(ofCut, 2*ofCut), nextOfCut-1) {
			return errors.New("not yet")
		}
		return nil
	})
	for _, n := range nodes {
		own := map[*clusterNode]int{here: next, cut: nextOfCut - ofCut}[n]
		eventually(t, n.host.Name+" has heard or missed everything", func() error {
			missed, err := n.figure("c100k_bus_missed_total")
			heard := len(n.hears(0, 2*ofCut))
			if published := next + nextOfCut - ofCut; err == nil && heard+missed != published {
				err = fmt.Errorf("%d were published, %d of them here; %d were heard, and %d missed", published, own, heard, missed)
			}
			return err
		})
		for _, list := range [][]int{n.hears(0, ofCut), n.hears(ofCut, 2*ofCut)} {
			if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
				t.Errorf("%s: out of order, or twice: %v", n.host.Name, list)
			}
		}
	}
	if missed, err := cut.figure("c100k_bus_missed_total"); err != nil || missed < 20 {
		t.Errorf("the node that was cut off has missed %d, %v", missed, err)
	}
	if n := len(third.hears(0, ofCut)); n != next {
		t.Errorf("the node that was not cut off has heard %d of %d", n, next)
	}
}
