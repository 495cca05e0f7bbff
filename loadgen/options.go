// What a run is asked for, and what makes no sense together.

package loadgen

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"c100k/loadgen/swarm"
)

// RateAuto as a rate means one message a second for each connection, where the mode sends at all.
const RateAuto = -1

// Options say what a run does. Defaults are made by DefaultOptions; an empty Mode or Protocol is
// found out.
type Options struct {
	URL         string
	Mode        swarm.Mode
	Protocol    swarm.Protocol
	Conns       int
	ConnectRate float64 // connections a second; 0: as fast as it goes
	Rate        float64 // messages a second over all connections, with Churn connections; 0: none; RateAuto
	InFlight    int     // closed loop: messages on the way on each connection, with a publisher its writes that not all have heard; 0: none
	Size        int     // bytes of a message
	Binary      bool
	Topic       string
	Topics      int // how many; with more than one they are Topic.0, Topic.1, …
	Join        string
	Event       string
	Hello       string // what a raw connection says first
	Compress    bool   // offer permessage-deflate
	Header      [][2]string
	Insecure    bool
	CA          string // files, as in swarm.Trust
	Cert        string
	Key         string

	Warm        time.Duration // of the same load before the measured part; what it gives is forgotten
	For         time.Duration // of the measured part
	Settle      time.Duration // at most, for what is on its way at its end
	Timeout     time.Duration // for a connection to open
	Nap         time.Duration // how long a loop under load sleeps between two looks; 0: swarm's own
	SlowShare   float64
	NoReconnect bool
	Storms      int
	StormEvery  time.Duration
	Cut         float64 // Recover: share of the connections that is cut off each time
	CutEvery    time.Duration
	CutAway     time.Duration // until they come back; 0: at once

	PublishURL    string
	PublishRate   float64
	PublishBurst  int // messages that go out in one write
	PublishHeader [][2]string

	ServerPID       int    // 0: none
	ConnsPerProcess int    // 0: what the limit on open files allows
	IO              string // netpoll.IOMode

	Thresholds []Threshold
	// Command is the program and its arguments that make a process of the swarm; empty: this program,
	// with ProcessArguments.
	Command []string
}

// ProcessArguments are the arguments by which this program is told to be a process of a run.
var ProcessArguments = []string{"load", "process"}

// DefaultOptions are the options of a run for which only the URL was given.
func DefaultOptions() Options {
	return Options{
		Conns: 100, Rate: RateAuto, Size: 64, Topics: 1,
		For: 10 * time.Second, Settle: 5 * time.Second, Timeout: 10 * time.Second,
		SlowShare: 0.1, Storms: 1, StormEvery: 10 * time.Second, Cut: 0.1, CutEvery: 2 * time.Second, PublishRate: 10, PublishBurst: 1,
	}
}

// UsageError is a combination of options that makes no sense; its text names the flags and says
// what would.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// modeOf is the mode for a target that was named without one.
func modeOf(target *url.URL) swarm.Mode {
	if strings.HasSuffix(strings.TrimSuffix(target.Path, "/"), "/echo") {
		return swarm.Echo
	}
	return swarm.Subscribe
}

// waits tells whether the publisher waits until its messages have been heard.
func (o *Options) waits() bool { return hears(o.Mode) && o.InFlight > 0 }

// sends tells whether the connections of a mode send on their own.
func sends(m swarm.Mode) bool { return m == swarm.Echo || m == swarm.Publish }

// hears tells whether the connections of a mode listen to a publisher.
func hears(m swarm.Mode) bool {
	return m == swarm.Subscribe || m == swarm.SlowReader || m == swarm.Recover
}

// complete fills in what follows from the URL, and refuses what makes no sense whatever the server
// speaks.
func (o *Options) complete() (*url.URL, error) {
	target, err := parseTarget(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Mode == "" {
		o.Mode = modeOf(target)
	}
	for _, check := range []func(*url.URL) error{o.checkCounts, o.checkRates, o.checkSending, o.checkTopics, o.checkPublisher} {
		if err := check(target); err != nil {
			return nil, err
		}
	}
	if o.Rate == RateAuto {
		o.Rate = 0
		if sends(o.Mode) && o.InFlight == 0 {
			o.Rate = float64(o.Conns)
		}
	}
	return parseTarget(o.URL) // again: a check may have put the topic into it
}

func (o *Options) checkCounts(target *url.URL) error {
	switch {
	case o.Conns < 1 || o.Conns > ConnsMax:
		return usagef("--conns %d is refused; allowed are 1 to %d", o.Conns, ConnsMax)
	case o.Size < swarm.TokenBytes || o.Size > SizeMax:
		return usagef("--size %d is refused; allowed are %d (a message says by whom, as which and when it was sent) to %d", o.Size, swarm.TokenBytes, SizeMax)
	case o.Topics < 1 || o.Topics > TopicsMax:
		return usagef("--topics %d is refused; allowed are 1 to %d", o.Topics, TopicsMax)
	case o.Warm < 0:
		return usagef("--warm must not be negative")
	case o.For <= 0:
		return usagef("--for must be longer than nothing")
	case o.Timeout <= 0:
		return usagef("--timeout must be longer than nothing")
	case o.ServerPID < 0 || o.ServerPID > 0 && !processExists(o.ServerPID):
		return usagef("--server-pid %d: there is no such process", o.ServerPID)
	case o.Hello != "" && o.Protocol != swarm.Auto && o.Protocol != swarm.Raw:
		return usagef("--hello is for --protocol raw; %s has a beginning of its own", o.Protocol)
	case o.Compress && (o.Protocol == swarm.SSE || o.Protocol == swarm.Auto && (target.Scheme == "http" || target.Scheme == "https") && !socketIOPath(target)):
		return usagef("--compress is for WebSockets, and %s:// is an event stream", target.Scheme)
	case o.SlowShare <= 0 || o.SlowShare > 1:
		return usagef("--slow-share %v is refused; allowed is more than 0 and at most 1", o.SlowShare)
	case o.Mode == swarm.Storm && o.Storms < 1:
		return usagef("--storms must be at least 1")
	case o.Mode == swarm.Recover && (o.Cut <= 0 || o.Cut > 1):
		return usagef("--cut %v is refused; allowed is more than 0 and at most 1, or 100%%", o.Cut)
	case o.Mode == swarm.Recover && (o.CutEvery < cutEveryMin || o.CutAway < 0 || o.CutAway > swarm.DropAwayMax):
		return usagef("--cut-every %v, --cut-away %v are refused; allowed are at least %v, and 0 to %v", o.CutEvery, o.CutAway, cutEveryMin, swarm.DropAwayMax)
	case o.Mode == swarm.Recover && o.For < time.Second+o.CutAway+time.Second:
		return usagef("--for %v has no room for a cut after a second, and a second after its end", o.For)
	case o.Mode == swarm.Recover && o.NoReconnect:
		return usagef("--mode recover is about coming back, and --no-reconnect forbids it")
	case o.Mode == swarm.Recover && o.PublishURL == "":
		return usagef("--mode recover proves that what was missed comes, and nobody publishes: use --publish URL")
	case o.Mode == swarm.Storm && o.NoReconnect:
		return usagef("--mode storm is about coming back, and --no-reconnect forbids it")
	}
	return nil
}

func (o *Options) checkRates(*url.URL) error {
	for _, rate := range []struct {
		flag   string
		second float64
	}{{"--rate", o.Rate}, {"--connect-rate", o.ConnectRate}, {"--publish-rate", o.PublishRate}} {
		if asked := rate.second != 0 && rate.second != RateAuto; asked && (rate.second < RateMin || rate.second > RateMax) {
			return usagef("%s %v/s is refused; allowed are %v/s to %d/s", rate.flag, rate.second, RateMin, RateMax)
		}
	}
	return nil
}

// checkSending holds --rate and --in-flight to the modes that send.
func (o *Options) checkSending(target *url.URL) error {
	asked := o.Rate != RateAuto && o.Rate != 0
	switch {
	case o.InFlight > 0 && asked:
		return usagef("--rate and --in-flight exclude each other: a schedule, or so many messages on the way")
	case asked && hears(o.Mode) && o.PublishURL == "":
		return usagef("--rate is what connections send, and with --mode %s they only listen: use --publish URL --publish-rate %v/s, or --mode echo", o.Mode, o.Rate)
	case asked && hears(o.Mode):
		return usagef("--rate is what connections send, and with --mode %s they only listen: use --publish-rate", o.Mode)
	case (asked || o.InFlight > 0) && (o.Mode == swarm.Idle || o.Mode == swarm.Storm):
		return usagef("--mode %s sends nothing: leave --rate and --in-flight out, or use --mode echo", o.Mode)
	case o.InFlight > 0 && !sends(o.Mode) && !(hears(o.Mode) && o.PublishURL != ""):
		return usagef("--in-flight needs --mode echo or publish, or a publisher: --publish URL")
	case o.InFlight < 0:
		return usagef("--in-flight must not be negative")
	case sends(o.Mode) && (target.Scheme == "http" || target.Scheme == "https") && !socketIOPath(target):
		return usagef("--mode %s needs a WebSocket, and over %s:// only the server speaks: use ws:// or wss://, or --mode subscribe", o.Mode, target.Scheme)
	}
	return nil
}

// checkProtocol holds the options to the protocol that was found.
func (o *Options) checkProtocol(protocol swarm.Protocol) error {
	switch {
	case o.InFlight > 0 && o.Mode == swarm.Publish && protocol != swarm.V1:
		return usagef("--in-flight waits for answers, and with --mode publish only %s has them, not %s: use --rate, or --mode echo", swarm.V1, protocol)
	case o.Binary && (protocol == swarm.V1 || protocol == swarm.SSE):
		return usagef("--binary: %s has no binary messages", protocol)
	case o.Mode == swarm.Recover && protocol == swarm.Raw:
		return usagef("--mode recover goes on behind a position, and messages of %s have none: use --protocol %s, %s or %s", swarm.Raw, swarm.V1, swarm.SSE, swarm.SocketIO)
	case o.Mode == swarm.Recover && protocol == swarm.V1 && o.Topic == "":
		return usagef("--mode recover needs --topic NAME: %s subscribes to it behind a position", swarm.V1)
	case o.Join != "" && protocol != swarm.SocketIO:
		return usagef("--join is what a client of Socket.IO emits, and %s is spoken", protocol)
	}
	return nil
}

// checkTopics refuses topics that no URL or command carries to the server, and marks without a
// topic.
func (o *Options) checkTopics(target *url.URL) error {
	if o.Topics > 1 && o.Topic == "" {
		return usagef("--topics %d needs --topic NAME: the topics are NAME.0 to NAME.%d", o.Topics, o.Topics-1)
	}
	if o.Topics > o.Conns {
		return usagef("--topics %d are more than --conns %d: some would have no listener", o.Topics, o.Conns)
	}
	if strings.Contains(o.URL, topicMark) && o.Topic == "" {
		return usagef("the URL has %s in it: say which with --topic NAME", topicMark)
	}
	explicit := o.Protocol == swarm.Raw || o.Protocol == swarm.SSE || o.Protocol == swarm.Auto && (target.Scheme == "http" || target.Scheme == "https") && !socketIOPath(target)
	if o.Topic != "" && explicit && !strings.Contains(o.URL, topicMark) {
		marked, ok := o.nodeURL(target)
		if !ok {
			return topicWithoutMark(o.URL)
		}
		o.URL = marked
	}
	return nil
}

// nodeURL is the URL with the topic in its query, where its path is one of a node of c100k, whose
// query names topics. ok is false for other paths, and where the query names some already.
func (o *Options) nodeURL(target *url.URL) (marked string, ok bool) {
	if target.Path != "/ws" && target.Path != "/sse" || target.Query().Has("topic") || target.Fragment != "" {
		return "", false
	}
	with := "?"
	if strings.Contains(o.URL, "?") {
		with = "&"
	}
	return o.URL + with + "topic=" + topicMark, true
}

// topicWithoutMark says how a topic gets into a URL.
func topicWithoutMark(address string) error {
	with := "?"
	if strings.Contains(address, "?") {
		with = "&"
	}
	return usagef("--topic has no way to the server: write where it belongs in the URL, such as '%s%stopic=%s'", address, with, topicMark)
}

func (o *Options) checkPublisher(*url.URL) error {
	if o.PublishURL == "" {
		if len(o.PublishHeader) > 0 {
			return usagef("--publish-header needs --publish URL")
		}
		return nil
	}
	if !hears(o.Mode) {
		return usagef("--publish is for --mode subscribe, slow-reader and recover; with --mode %s nobody listens", o.Mode)
	}
	target, err := url.Parse(strings.ReplaceAll(o.PublishURL, topicMark, "topic"))
	if err != nil || target.Host == "" || schemePort[target.Scheme] == "" {
		return usagef("--publish %q is refused; allowed is a URL such as http://127.0.0.1:9100/v1/topics/news or ws://127.0.0.1:8080/broadcast", o.PublishURL)
	}
	switch {
	case o.PublishRate <= 0:
		return usagef("--publish-rate must be more than 0")
	case o.waits() && o.Topics > 1:
		return usagef("--in-flight with --publish waits until all have heard a message, and with --topics %d nobody hears all of them", o.Topics)
	case o.PublishBurst < 1 || o.PublishBurst > BurstMax:
		return usagef("--publish-burst %d is refused; allowed are 1 to %d", o.PublishBurst, BurstMax)
	case o.PublishBurst > 1 && target.Scheme != "ws" && target.Scheme != "wss":
		return usagef("--publish-burst puts several frames into one write, and --publish %s has none: use ws:// or wss://", o.PublishURL)
	}
	if strings.Contains(o.PublishURL, topicMark) && o.Topic == "" {
		return usagef("--publish has %s in it: say which with --topic NAME", topicMark)
	}
	return nil
}

// topics are the names of the topics; none where none was named.
func (o *Options) topics() []string {
	switch {
	case o.Topic == "":
		return nil
	case o.Topics == 1:
		return []string{o.Topic}
	}
	names := make([]string, o.Topics)
	for i := range names {
		names[i] = fmt.Sprintf("%s.%d", o.Topic, i)
	}
	return names
}
