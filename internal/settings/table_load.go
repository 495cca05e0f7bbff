// The rows of `c100k load`.

package settings

import (
	"c100k/loadgen"
	"c100k/loadgen/swarm"
)

// loadRows are the settings of `c100k load`, in the order of its help.
func loadRows(l *LoadOptions) []Setting {
	var rows []Setting
	for _, group := range [][]Setting{loadConnRows(&l.Run), loadMessageRows(&l.Run), loadTimeRows(&l.Run), loadPublisherRows(&l.Run), loadOutcomeRows(l)} {
		for _, row := range group {
			row.Scope, row.Commands = "load", []string{"load"}
			rows = append(rows, row)
		}
	}
	for _, row := range []Setting{
		{Name: "fail-if", Arg: "'FIGURE > RATIO'", Value: ratioBounds(&l.Compare.Bounds), Help: "end with 99 if it holds, such as 'echo.p99 > 1.2x'; may be given several times"},
		{Name: "report", Value: text(&l.Compare.Report, "FILE.html"), Help: "write a page that needs no network"},
	} {
		row.Scope, row.Commands = "load compare", []string{"load compare"}
		rows = append(rows, row)
	}
	return rows
}

func loadConnRows(o *loadgen.Options) []Setting {
	return []Setting{
		{Name: "mode", Arg: "MODE", Value: choice((*string)(&o.Mode), string(swarm.Echo), string(swarm.Idle), string(swarm.Subscribe), string(swarm.Publish),
			string(swarm.Churn), string(swarm.SlowReader), string(swarm.Recover), string(swarm.Storm)), Default: "echo for a path that ends in /echo, subscribe otherwise",
			Help: "what the connections do: echo, idle, subscribe, publish, churn (open and close), slow-reader, recover (cut off, go on where they were), storm (drop all at once)"},
		{Name: "protocol", Arg: "PROTOCOL", Value: choice((*string)(&o.Protocol), string(swarm.Auto), string(swarm.Raw), string(swarm.V1), string(swarm.SocketIO), string(swarm.SSE)),
			Default: "auto: sse for http://, socketio for /socket.io/, else raw; c100k.v1 where --topic needs it and it is spoken",
			Help:    "what is spoken: auto, raw (WebSocket), c100k.v1, socketio, sse"},
		{Name: "conns", Value: count(&o.Conns), Unit: "connections", Help: "connections to open"},
		{Name: "connect-rate", Value: rate(&o.ConnectRate), Unit: "connections a second", Default: "off: as fast as it goes", Help: "pace of the opening"},
		{Name: "header", Arg: "'NAME: VALUE'", Value: headers(&o.Header), Help: "line of the request that opens a connection; may be given several times"},
		{Name: "insecure", Value: toggle(&o.Insecure), Help: "take any certificate"},
		{Name: "ca", Value: text(&o.CA, "FILE"), Default: "none: those of the system", Help: "authorities that vouch for the server, PEM"},
		{Name: "cert", Value: text(&o.Cert, "FILE"), Help: "certificate, PEM, to show to a server that asks for one"},
		{Name: "key", Value: text(&o.Key, "FILE"), Help: "key of --cert, PEM"},
		{Name: "no-reconnect", Value: toggle(&o.NoReconnect), Help: "leave connections that fail or are lost alone, instead of trying again with growing pauses"},
		{Name: "join", Arg: "JSON", Value: text(&o.Join, "JSON"), Default: `none; with --topic ["subscribe",TOPIC]`,
			Help: "Socket.IO: what to emit when connected, an array of the event's name and its arguments; {topic} and {i} are filled in"},
		{Name: "event", Value: text(&o.Event, "NAME"), Default: swarm.EventDefault,
			Help: "Socket.IO: name of the events to emit; echo asks each for an acknowledgement and takes what comes back first, that or an event"},
		{Name: "hello", Value: text(&o.Hello, "TEXT"), Help: "raw: frame to send first; the connection is open when the server has answered it"},
		{Name: "compress", Value: toggle(&o.Compress), Help: "offer permessage-deflate, and refuse a server that does not take it"},
		{Name: "slow-share", Value: share(&o.SlowShare), Help: "slow-reader: part of the connections that stop reading"},
		{Name: "storms", Value: count(&o.Storms), Unit: "storms", Help: "storm: how often all connections are dropped at once"},
		{Name: "storm-every", Value: duration(&o.StormEvery), Help: "storm: time from one to the next; never before all are back"},
		{Name: "cut", Value: share(&o.Cut), Help: "recover: part of the connections that is cut off each time"},
		{Name: "cut-every", Value: duration(&o.CutEvery), Help: "recover: time from one cut to the next; never before all are back"},
		{Name: "cut-away", Value: duration(&o.CutAway), Default: "0s: at once", Help: "recover: how long they stay away"},
		{Name: "conns-per-process", Value: countOrAuto(&o.ConnsPerProcess, 0), Unit: "connections", Default: "auto: what the limit on open files allows",
			Help: "connections that one process of the generator holds; beyond it there are more processes"},
		{Name: "io", Value: choice(&o.IO, "auto", "uring", "syscall"), Default: "auto", Help: "how the generator's reads and writes reach the kernel"},
	}
}

func loadMessageRows(o *loadgen.Options) []Setting {
	return []Setting{
		{Name: "rate", Value: rateOrAuto(&o.Rate, loadgen.RateAuto), Unit: "messages a second", Default: "auto: one a second for each connection, where they send",
			Help: "what all connections together send, on an open schedule: latency counts from when a message was due; churn: connections a second"},
		{Name: "in-flight", Value: count(&o.InFlight), Unit: "messages", Default: "0: the schedule of --rate",
			Help: "a closed loop instead: so many messages on the way on each connection; with --publish, so many writes that not all have heard, in place of its rate"},
		{Name: "size", Value: size(&o.Size), Unit: "bytes", Help: "payload of a message"},
		{Name: "binary", Value: toggle(&o.Binary), Help: "binary messages, where the protocol has them"},
		{Name: "topic", Value: text(&o.Topic, "NAME"), Help: "topic to subscribe to; {topic} in URL and --publish stands for it"},
		{Name: "topics", Value: count(&o.Topics), Unit: "topics", Help: "spread over so many topics, NAME.0, NAME.1, …; connection i takes the i-th, modulo"},
	}
}

func loadTimeRows(o *loadgen.Options) []Setting {
	return []Setting{
		{Name: "warm", Value: duration(&o.Warm), Default: "0s: none", Help: "how long the same load runs before the measured part, and is forgotten: first messages are dearer"},
		{Name: "for", Value: duration(&o.For), Help: "length of the measured part, which begins when all are connected"},
		{Name: "settle", Value: duration(&o.Settle), Help: "how long to wait, at its end, for messages that are on their way"},
		{Name: "timeout", Value: duration(&o.Timeout), Help: "time a connection has to open"},
		{Name: "nap", Value: duration(&o.Nap), Default: "0s: what the generator finds best",
			Help: "how long a loop of the generator sleeps between two looks; longer costs less and sees later"},
	}
}

func loadPublisherRows(o *loadgen.Options) []Setting {
	return []Setting{
		{Name: "publish", Value: text(&o.PublishURL, "URL"), Help: "publish there while the connections listen: http:// is a POST with the message as its body, ws:// a frame"},
		{Name: "publish-rate", Value: rate(&o.PublishRate), Unit: "messages a second", Help: "what the publisher sends, topics in turn"},
		{Name: "publish-burst", Value: count(&o.PublishBurst), Unit: "messages", Help: "so many in one write, over ws://; --publish-rate still counts messages"},
		{Name: "publish-header", Arg: "'NAME: VALUE'", Value: headers(&o.PublishHeader), Help: "line of the publisher's requests, which get none of --header; may be given several times"},
	}
}

func loadOutcomeRows(l *LoadOptions) []Setting {
	return []Setting{
		{Name: "server-pid", Value: count(&l.Run.ServerPID), Unit: "process", Default: "0: not watched",
			Help: "sample this process and all it started: CPU a message, memory a connection"},
		{Name: "fail-if", Arg: "'FIGURE > BOUND'", Value: thresholds(&l.Run.Thresholds), Help: "end with 99 if it holds, such as 'deliver.p99 > 250ms'; may be given several times"},
		{Name: "json", Value: text(&l.JSON, "FILE"), Help: "write the result as JSON; - is standard output"},
		{Name: "report", Value: text(&l.Report, "FILE.html"), Help: "write a page with charts that needs no network"},
		{Name: "hdr", Value: text(&l.HDR, "FILE"), Help: "write the histograms of every second as an HdrHistogram log"},
		{Name: "plain", Value: toggle(&l.Plain), Default: "off, and on where there is no terminal", Help: "one line a second instead of the live view"},
	}
}
