// What it costs to look at a node: the dashboard, a page of connections, a scrape.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"c100k/bench/rig"
)

const (
	// dashboards are open at one time: the cost of one is too little to be seen.
	dashboards = 10

	// lookPages is how often a page of connections is asked for, and lookScrapes how often the metrics
	// are, lookPause apart: what the kernel says of a process is read once a second at most.
	lookPages   = 40
	lookScrapes = 10
	lookPause   = 1100 * time.Millisecond

	// lookWarm is how often the figures are asked for before anything is measured.
	lookWarm = 100

	// detailsEvery is how often a dashboard asks for what changes seldom.
	detailsEvery = 5 * time.Second

	// lookTimeout bounds one request.
	lookTimeout = 30 * time.Second
)

// The goals of the step look.
const (
	dashboardCoreMax  = 1  // % of a core, of one dashboard
	dashboardBytesMax = 2  // MB, of one dashboard
	pageMax           = 50 // ms
	scrapeMax         = 20 // ms of processor time, over all processes
)

// look holds everybody, silent, while somebody looks at the node.
func look(ctx context.Context, t *trial) error {
	node, err := t.node("--ping-interval", "10m")
	if err != nil {
		return err
	}
	defer node.Stop()
	crowd := &beside{make(chan struct{}), make(chan besideEnd, 1)}
	progress := rig.NewProgress()
	base := filepath.Join(t.out, t.name+"-look")
	go func() {
		load, err := rig.Until(ctx, crowd.stop, t.binary, base, progress, t.scheme()+"://"+node.Public+"/ws?topic=crowd", "--insecure", "--plain",
			"--conns", fmt.Sprint(t.conns), "--for", "1h")
		if err != nil {
			err = fmt.Errorf("the crowd: %w\n%s", err, progress.Tail())
		}
		crowd.ended <- besideEnd{load, err}
	}()
	select {
	case <-progress.Measures:
		t.Runs = append(t.Runs, filepath.Base(base)+".json")
	case early := <-crowd.ended:
		return early.err
	}
	lookErr := t.lookAt(ctx, node)
	held, err := crowd.end()
	if err := errors.Join(lookErr, err); err != nil {
		return err
	}
	t.opened(held)
	return t.sound(node)
}

// lookAt measures. The crowd is there.
func (t *trial) lookAt(ctx context.Context, node *rig.Node) error {
	span := t.lookFor()
	// The first requests grow the heap up to where the collector keeps it: that is not the cost of a
	// dashboard.
	for range lookWarm {
		if err := fetch(ctx, "http://"+node.Admin+"/v1/stats"); err != nil {
			return err
		}
	}
	quiet, err := use(ctx, node, span)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	for range dashboards {
		go watchNode(watching, "http://"+node.Admin)
	}
	busy, err := use(ctx, node, span)
	stop()
	if err != nil {
		return err
	}
	t.note("processor time of the node while nobody looks", 100*quiet.cores, "% of a core")
	t.note(fmt.Sprintf("… more for each of %d dashboards", dashboards), 100*(busy.cores-quiet.cores)/dashboards, "% of a core").atMost(dashboardCoreMax)
	t.note(fmt.Sprintf("private memory for each of %d dashboards", dashboards), megabytes(busy.private-quiet.private)/dashboards, "MB").atMost(dashboardBytesMax)
	for _, page := range []struct{ title, query string }{
		{"a page of 100 connections, median", "limit=100"}, {"… of those that lag behind", "behind=1"}, {"… of one user", "sub=nobody"},
	} {
		took := make([]float64, 0, lookPages)
		for range lookPages {
			from := time.Now()
			if err := fetch(ctx, "http://"+node.Admin+"/v1/connections?"+page.query); err != nil {
				return err
			}
			took = append(took, time.Since(from).Seconds()*1e3)
		}
		slices.Sort(took)
		t.note(page.title, took[len(took)/2], "ms").atMost(pageMax)
	}
	scrapes := lookScrapes
	if t.quick {
		scrapes = 1
	}
	before, err := node.Read()
	if err != nil {
		return err
	}
	for range scrapes {
		if err := fetch(ctx, "http://"+node.Admin+"/metrics"); err != nil {
			return err
		}
		if err := rest(ctx, lookPause); err != nil {
			return err
		}
	}
	after, err := node.Read()
	if err != nil {
		return err
	}
	scrape := (after.CPU - before.CPU).Seconds() - quiet.cores*after.At.Sub(before.At).Seconds()
	t.note(fmt.Sprintf("processor time of a scrape of /metrics, %d workers", len(node.Workers())), scrape/float64(scrapes)*1e3, "ms").atMost(scrapeMax)
	return nil
}

// usage is what a node used for a while.
type usage struct {
	cores   float64
	private int64 // bytes, at the end
}

// use reads what the node uses.
func use(ctx context.Context, node *rig.Node, span time.Duration) (usage, error) {
	first, err := node.Read()
	if err == nil {
		err = rest(ctx, span)
	}
	if err != nil {
		return usage{}, err
	}
	last, err := node.Read()
	return usage{cores([]rig.Reading{first, last}), last.Private}, err
}

// watchNode is an open dashboard: it takes the stream of figures, and asks for the rest now and
// then.
func watchNode(ctx context.Context, admin string) {
	go func() {
		for rest(ctx, detailsEvery) == nil {
			if err := fetch(ctx, admin+"/v1/stats"); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "  a dashboard:", err)
			}
		}
	}()
	if err := fetchWithin(ctx, admin+"/v1/figures", 0); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "  a dashboard:", err)
	}
}

func fetch(ctx context.Context, url string) error { return fetchWithin(ctx, url, lookTimeout) }

// fetchWithin reads an answer to its end; timeout 0 is none.
func fetchWithin(ctx context.Context, url string, timeout time.Duration) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: timeout}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// rest waits, and returns why it was cut short.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
