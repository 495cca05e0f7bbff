package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"bytes"
	"net/netip"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"c100k/loadgen/swarm"
)

func cpu(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	_ = b
	var sum time.Duration
	ents, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range ents {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, e.Name()))
		var ns int64
		fmt.Sscan(string(b), &ns)
		sum += time.Duration(ns)
	}
	return sum
}

func main() {
	mode := flag.String("mode", "echo", "")
	addr := flag.String("addr", "127.0.0.1:8080", "")
	admin := flag.String("admin", "127.0.0.1:9100", "")
	url := flag.String("url", "", "")
	proto := flag.String("proto", "raw", "")
	conns := flag.Int("conns", 1000, "")
	rate := flag.Float64("rate", 0, "")
	inflight := flag.Int("inflight", 0, "")
	size := flag.Int("size", 64, "")
	pub := flag.Float64("pub", 0, "publishes per second")
	dur := flag.Duration("for", 5*time.Second, "")
	pid := flag.Int("pid", 0, "")
	io := flag.String("io", "", "")
	prof := flag.String("prof", "", "")
	nap := flag.Duration("nap", 0, "")
	flag.Parse()
	spec := swarm.Spec{Run: 1, Conns: *conns, AllConns: *conns, Mode: swarm.Mode(*mode), Protocol: swarm.Protocol(*proto), URL: *url, Target: netip.MustParseAddrPort(*addr),
		Rate: *rate, InFlight: *inflight, Size: *size, Timeout: 10 * time.Second, IO: *io, Nap: *nap, Topics: []string{"t"}}
	if *mode == "echo" {
		spec.Topics = nil
	}
	s, err := swarm.New(spec)
	if err != nil {
		panic(err)
	}
	orders := make(chan swarm.Order, 10)
	var lat = hdrhistogram.New(1000, 300e9, 3)
	var slip, turn = hdrhistogram.New(1000, 300e9, 3), hdrhistogram.New(1000, 300e9, 3)
	add := func(to *hdrhistogram.Histogram, h swarm.Histogram) {
		if len(h) > 0 {
			d, err := hdrhistogram.Decode(h)
			if err != nil {
				panic(err)
			}
			to.Merge(d)
		}
	}
	var first, last swarm.Sample
	var c0, c1 time.Duration
	begun := false
	up := make(chan bool, 1)
	done := make(chan bool)
	go func() {
		defer close(done)
		s.Run(context.Background(), orders, func(x swarm.Sample) {
			if !begun && x.Open == *conns {
				fmt.Printf("open: %d, failed %v\n", x.Open, x.Failed)
				begun = true
				up <- true
				orders <- swarm.Order{Begin: &swarm.Begin{}}
			} else if !begun {
				fmt.Println("open", x.Open, x.Failed)
			}
			if x.Begun && first.At == 0 {
				first = x
				c0 = cpu(*pid)
				if *prof != "" {
					f, _ := os.Create(*prof)
					pprof.StartCPUProfile(f)
				}
				return
			}
			if x.Begun && !x.Last {
				add(lat, x.Latency)
				add(slip, x.Self.Slip)
				add(turn, x.Self.Turn)
				last = x
				c1 = cpu(*pid)
			}
		})
	}()
	<-up
	time.Sleep(1200 * time.Millisecond)
	var published uint64
	end := time.Now().Add(*dur)
	if *pub > 0 {
		t0 := time.Now()
		var batch strings.Builder
		_ = batch
		for time.Now().Before(end) {
			due := t0.Add(time.Duration(float64(published) / *pub * 1e9))
			time.Sleep(time.Until(due))
			msg := swarm.AppendMessage(nil, swarm.Token{Run: 1, Seq: published, Sent: swarm.Clock()}, *size)
			resp, err := http.Post("http://"+*admin+"/v1/topics/t", "text/plain", bytes.NewReader(msg))
			if err != nil {
				panic(err)
			}
			resp.Body.Close()
			published++
		}
	} else {
		time.Sleep(*dur)
	}
	orders <- swarm.Order{Settle: &swarm.Settle{Published: []uint64{published}, Within: 3 * time.Second}}
	time.Sleep(300 * time.Millisecond)
	if *prof != "" {
		pprof.StopCPUProfile()
	}
	orders <- swarm.Order{End: true}
	<-done
	n := float64(last.Received)
	p := func(h *hdrhistogram.Histogram) string {
		return fmt.Sprintf("p50 %v p99 %v max %v (%d)", time.Duration(h.ValueAtQuantile(50)), time.Duration(h.ValueAtQuantile(99)), time.Duration(h.Max()), h.TotalCount())
	}
	fmt.Printf("received %d in %v (%.0f/s) sent %d expected %d missing %d dup %d reord %d foreign %d unsent %d lost %v\n", last.Received, last.At-first.At, n/(last.At-first.At).Seconds(), last.Sent, last.Expected, last.Missing, last.Duplicated, last.Reordered, last.Foreign, last.Unsent, last.Lost)
	fmt.Printf("self %.2f us/msg (busy %.2f), server %.2f us/msg, self cpu %v server %v\n", (last.Self.CPU-first.Self.CPU).Seconds()*1e6/n, (last.Self.Busy-first.Self.Busy).Seconds()*1e6/n, (c1-c0).Seconds()*1e6/n, last.Self.CPU-first.Self.CPU, c1-c0)
	fmt.Println("latency", p(lat)); fmt.Println("slip", p(slip)); fmt.Println("turn", p(turn))
	fmt.Println("memory", last.Self.Memory, "per conn", last.Self.Memory/int64(*conns))
}
