// The table: every figure of a node, one row each.

package figures

import "time"

// Table is every figure. Its order is that of the document. No row has a topic, a user or an
// address as a label: the number of their values grows with the users. Nothing changes it after the
// start.
var Table []Stat

func rows() []Stat {
	return []Stat{
		{Key: KeyVersion, Kind: Text, Add: Own, read: text(func(s *Source) string { return s.Version })},
		{Key: KeyRevision, Kind: Text, Add: Own, read: text(func(s *Source) string { return s.Revision })},
		{Key: KeyGoVersion, Kind: Text, Add: Own, read: text(func(s *Source) string { return s.GoVersion })},
		{Key: KeyPID, Kind: Gauge, Add: Own, read: one(func(s *Source) int { return s.Process.PID })},
		{Key: "started", Kind: Text, Add: Own, read: text(func(s *Source) string { return s.Started.Format(time.RFC3339Nano) })},
		{Key: KeyUptime, Unit: Seconds, Kind: Gauge, Add: Own, read: one(func(s *Source) float64 { return s.Uptime.Seconds() })},
		{Key: "io", Kind: Text, Add: Last, read: text(func(s *Source) string { return s.IO })},
		{Key: KeyDraining, Metric: "c100k_draining", Help: "1 while the node drains, else 0.", Kind: Flag, Add: Own,
			read: flag(func(s *Source) bool { return s.Draining })},

		// Connections. One whose request head has not been judged has no transport yet.
		{Key: KeyConnections, Kind: Gauge, read: loops(func(l *Loop) int { return l.Connections })},
		{Key: KeyOpen, Metric: "c100k_connections", Help: "Open connections.", Kind: Gauge, Labels: []string{"transport"},
			read: perTransport(func(t *Transport) uint64 { return t.open() })},
		{Key: KeyOpened, Metric: "c100k_connections_opened_total", Help: "Connections that were opened.", Labels: []string{"transport"},
			read: perTransport(func(t *Transport) uint64 { return t.Opened })},
		{Key: KeyClosed, Metric: "c100k_connections_closed_total", Help: "Connections that were closed, by why.",
			Labels: []string{"transport", "reason"}, read: closed},
		{Key: "connections.max", Metric: "c100k_max_connections", Help: "Connections that the node lets in: --max-conns.", Kind: Gauge,
			read: one(func(s *Source) int { return s.MaxConns })},
		{Key: "connections.ends_missed_total", Metric: "c100k_ends_missed_total",
			Help: "Ends of connections that are not among the recent closes, because too many came at once.",
			read: one(func(s *Source) uint64 { return s.EndsMissed })},
		{Key: "connections.accepted_total", Metric: "c100k_connections_accepted_total", Help: "Connections taken from the listeners.",
			read: one(func(s *Source) uint64 { return s.Accepted })},
		{Key: "connections.turned_away_total", Metric: "c100k_connections_turned_away_total",
			Help: "Connections closed at once because the process had no descriptor left.",
			read: one(func(s *Source) uint64 { return s.TurnedAway })},
		{Key: "connections.refused_total", Metric: "c100k_connections_refused_total",
			Help:   "Connections over a limit, by limit; unanswered are those of all limits that no request was read of: in a flood they get a short answer, and over TLS none.",
			Labels: []string{"limit"}, read: family(func(s *Source) map[string]uint64 { return s.Refused })},
		{Key: "connections.uncounted_total", Metric: "c100k_connections_uncounted_total",
			Help: "Connections that were let in without being counted for their address or user, because the table of limits was full.",
			Add:  Max, read: one(func(s *Source) uint64 { return s.Uncounted })},
		{Key: "handshakes_rejected_total", Metric: "c100k_handshakes_rejected_total", Help: "Handshakes that were answered with an error.",
			Labels: []string{"reason"}, read: family(func(s *Source) map[string]uint64 { return s.Rejected })},
		{Key: "tls.handshakes_total", Metric: "c100k_tls_handshakes_total",
			Help:   "TLS handshakes that were completed, by whether a session was resumed, and by version.",
			Labels: []string{"resumed", "version"}, read: tlsHandshakes},
		{Key: "tls.handshake_failures_total", Metric: "c100k_tls_handshake_failures_total", Help: "TLS handshakes that were not completed, by why.",
			Labels: []string{"reason"}, read: family(func(s *Source) map[string]uint64 { return s.TLSFailures })},
		{Key: "requests_moved_total", Metric: "c100k_requests_moved_total",
			Help: "Requests that were taken from one worker to the one that their Socket.IO client lives on.",
			read: one(func(s *Source) uint64 { return s.RequestsMoved })},

		{Key: "upstream.responses_total", Metric: "c100k_upstream_responses_total",
			Help:   "Requests for the upstream, by the class of the answer's status, or unreachable, timeout, client_left, refused.",
			Labels: []string{"status"}, read: family(func(s *Source) map[string]uint64 { return s.UpstreamAnswers })},
		{Key: "upstream.websockets", Metric: "c100k_upstream_websockets", Help: "Open WebSockets of the upstream.", Kind: Gauge,
			read: one(func(s *Source) int { return s.Tunnels })},

		// Hooks.
		{Key: "hooks.requests_total", Metric: "c100k_hook_requests_total", Help: "Requests to the hooks, by hook and result.",
			Labels: []string{"hook", "result"}, read: hookRequests},
		{Key: "hooks.request_seconds", Metric: "c100k_hook_request_seconds", Help: "Time that the backend took for a request.",
			Unit: Seconds, Kind: Durations, read: func(s *Source) Value { return Value{Histogram: s.Hooks.Times} }},
		{Key: "hooks.waiting", Metric: "c100k_hook_waiting", Help: "Requests to the hooks that wait for their turn.", Kind: Gauge,
			read: one(func(s *Source) int { return s.Hooks.Waiting })},
		{Key: "hooks.cached", Metric: "c100k_hook_cached", Help: "Answers of the hooks that are remembered.", Kind: Gauge,
			read: one(func(s *Source) int { return s.Hooks.Cached })},
		{Key: "hooks.events.sent_total", Metric: "c100k_hook_events_sent_total", Help: "Events that the backend has taken.",
			read: one(func(s *Source) uint64 { return s.Hooks.EventsSent })},
		{Key: "hooks.events.lost_total", Metric: "c100k_hook_events_lost_total", Help: "Events that were dropped because their queue was full.",
			read: one(func(s *Source) uint64 { return s.Hooks.EventsLost })},
		{Key: "hooks.events.failed_batches_total", Metric: "c100k_hook_events_failed_batches_total",
			Help: "Batches of events that the backend has not taken; each is sent again.",
			read: one(func(s *Source) uint64 { return s.Hooks.EventBatchesFailed })},
		{Key: "hooks.events.queued", Metric: "c100k_hook_events_queued", Help: "Events that the backend has not taken yet.", Kind: Gauge,
			read: one(func(s *Source) int64 { return s.Hooks.EventsQueued })},
		{Key: "hooks.events.queued_bytes", Metric: "c100k_hook_events_queued_bytes", Help: "What these take in the queue.", Unit: Bytes, Kind: Gauge,
			read: one(func(s *Source) int64 { return s.Hooks.EventsQueuedBytes })},

		{Key: "requests_open", Metric: "c100k_requests_open", Help: "Requests that net/http serves: the API, files, an upstream.",
			Kind: Gauge, read: one(func(s *Source) int { return s.RequestsOpen })},
		{Key: "requests_waiting.requests", Metric: "c100k_requests_waiting", Help: "Requests whose verdict has not come yet.", Kind: Gauge,
			read: loops(func(l *Loop) int { return l.RequestsWaiting })},
		{Key: "requests_waiting.held_bytes", Metric: "c100k_requests_waiting_bytes", Help: "What the clients of these requests have sent.", Unit: Bytes,
			Kind: Gauge, read: loops(func(l *Loop) int { return l.RequestsHeldBytes })},

		// Messages and bytes.
		{Key: "messages.received_total", Metric: "c100k_messages_received_total", Help: "Messages received from clients.",
			read: loops(func(l *Loop) uint64 { return l.Streams.MessagesReceived })},
		{Key: KeyMessagesSent, Metric: "c100k_messages_sent_total", Help: "Messages sent to clients.",
			read: loops(func(l *Loop) uint64 { return l.Streams.MessagesSent + l.Broadcasts })},
		{Key: "messages.received_payload_bytes_total", Metric: "c100k_received_payload_bytes_total",
			Help: "Payloads of messages received from clients, after decompression.", Unit: Bytes,
			read: loops(func(l *Loop) uint64 { return l.Streams.BytesReceived })},
		{Key: "bytes.received_total", Metric: "c100k_received_bytes_total", Help: "Bytes read from clients' sockets.", Unit: Bytes,
			read: loops(func(l *Loop) uint64 { return l.BytesReceived })},
		{Key: "bytes.sent_total", Metric: "c100k_sent_bytes_total", Help: "Bytes written to clients' sockets.", Unit: Bytes,
			read: loops(func(l *Loop) uint64 { return l.BytesSent })},
		{Key: "slow_consumer_total", Metric: "c100k_slow_consumer_total", Help: "What was done about clients that lag behind, by action.",
			Labels: []string{"action"}, read: slowConsumers},
		{Key: "topics", Metric: "c100k_topics", Help: "Topics with subscribers, or with a history; the largest number of one worker where there are several.",
			Kind: Gauge, Add: Max, read: one(func(s *Source) int { return s.Topics })},
		{Key: "subscriptions", Metric: "c100k_subscriptions", Help: "Topics of all connections: one with three topics counts three.", Kind: Gauge,
			read: one(func(s *Source) int { return s.Subscriptions })},
		{Key: "publishes.total", Metric: "c100k_publishes_total",
			Help:   "Messages published here, by result: accepted, also without subscribers; refused, because too much waits to be delivered; failed, where history was not stored.",
			Labels: []string{"result"}, read: publishes},
		{Key: "publishes.deliveries_total", Metric: "c100k_deliveries_total", Help: "Published messages handed to subscribers, once for each subscriber.",
			read: one(func(s *Source) uint64 { return s.Hub.Deliveries })},
		{Key: "publishes.gaps_total", Metric: "c100k_gaps_total", Help: "Subscribers that were told how many messages they missed.",
			read: one(func(s *Source) uint64 { return s.Hub.Gaps })},
		{Key: "queues.pending_bytes", Metric: "c100k_pending_bytes", Help: "Bytes published that not every loop has delivered yet.", Unit: Bytes,
			Kind: Gauge, read: one(func(s *Source) int64 { return s.Hub.PendingBytes })},
		{Key: "history.replayed_total", Metric: "c100k_history_replayed_total", Help: "Kept messages handed to clients that came back.",
			read: one(func(s *Source) uint64 { return s.Hub.Replayed })},
		{Key: "history.kept_bytes", Metric: "c100k_history_bytes", Help: "What the kept messages of all topics cost in memory.", Unit: Bytes,
			Kind: Gauge, read: one(func(s *Source) int64 { return s.Hub.KeptBytes })},
		{Key: "queues.outbox_bytes", Metric: "c100k_outbox_bytes", Help: "Bytes owed to clients whose sockets do not take them, or that poll and have not fetched them.", Unit: Bytes,
			Kind: Gauge, read: loops((*Loop).outbox)},

		// Event loops.
		{Key: "loops[].connections", Metric: "c100k_loop_connections", Help: "Open connections of a loop.", Kind: Gauge,
			read: perLoop(func(l *Loop) int { return l.Connections })},
		{Key: "loops[].turns_total", Metric: "c100k_loop_turns_total", Help: "Turns of a loop.",
			read: perLoop(func(l *Loop) uint64 { return l.Turns })},
		{Key: "loops[].busy_seconds_total", Metric: "c100k_loop_busy_seconds_total",
			Help: "Time a loop has spent working, waiting not counted.", Unit: Seconds,
			read: perLoop(func(l *Loop) float64 { return l.Busy.Seconds() })},
		{Key: "loops[].mailbox", Metric: "c100k_loop_mailbox", Help: "Tasks that other goroutines posted to a loop and that have not run.",
			Kind: Gauge, read: perLoop(func(l *Loop) int { return l.Mailbox })},
		{Key: "loops[].io", Kind: Text, Add: Last, read: perLoopText(func(l *Loop) string { return l.IO })},
		{Key: "loops[].outbox_bytes", Metric: "c100k_loop_outbox_bytes", Help: "Bytes owed to clients of a loop.", Unit: Bytes, Kind: Gauge,
			read: perLoop((*Loop).outbox)},
		{Key: "loops[].opened_total", Metric: "c100k_loop_opened_total", Help: "Connections that a loop has taken.",
			read: perLoop(func(l *Loop) uint64 { return l.Opened })},
		{Key: "loops[].closed_total", Metric: "c100k_loop_closed_total", Help: "Connections that have left a loop.",
			read: perLoop(func(l *Loop) uint64 { return l.Closed })},
		{Key: "loops[].reads_total", Metric: "c100k_loop_reads_total", Help: "Read operations of a loop.",
			read: perLoop(func(l *Loop) uint64 { return l.Reads })},
		{Key: "loops[].writes_total", Metric: "c100k_loop_writes_total", Help: "Write operations of a loop.",
			read: perLoop(func(l *Loop) uint64 { return l.Writes })},
		{Key: "loops[].tasks_total", Metric: "c100k_loop_tasks_total", Help: "Tasks of other goroutines that a loop has run.",
			read: perLoop(func(l *Loop) uint64 { return l.Tasks })},
		{Key: "loops[].timers_total", Metric: "c100k_loop_timers_total", Help: "Timers that have run out on a loop.",
			read: perLoop(func(l *Loop) uint64 { return l.Timers })},
		{Key: "loops[].stale_events_total", Metric: "c100k_loop_stale_events_total",
			Help: "Events for connections that had closed before a loop came to them.",
			read: perLoop(func(l *Loop) uint64 { return l.StaleEvents })},
		{Key: "loops[].panics_total", Metric: "c100k_loop_panics_total", Help: "Panics of handlers on a loop; each costs one connection.",
			read: perLoop(func(l *Loop) uint64 { return l.Panics })},

		// What is held for clients.
		{Key: "held.bytes", Metric: "c100k_held_bytes",
			Help: "Bytes held for clients: parts of messages and requests, output that waits, sessions, topics.", Unit: Bytes, Kind: Gauge,
			read: one(func(s *Source) int64 { return s.Memory.HeldBytes })},
		{Key: "held.limit_bytes", Metric: "c100k_held_limit_bytes", Help: "Bytes that may be held for clients: half of --memory.", Unit: Bytes, Kind: Gauge,
			read: one(func(s *Source) int64 { return s.Memory.MaxBytes })},
		{Key: "held.short", Metric: "c100k_memory_short",
			Help: "1 while too much is held for clients: the largest holders are closed, and new connections are refused; else 0.", Kind: Flag, Add: Max,
			read: flag(func(s *Source) bool { return s.Memory.Short })},
		{Key: "held.shortages_total", Metric: "c100k_memory_shortages_total", Help: "How often too much was held for clients.",
			read: one(func(s *Source) uint64 { return s.Memory.Shortages })},

		// The bus.
		{Key: "bus.kind", Kind: Text, Add: Own, read: text(func(s *Source) string { return s.Bus.Kind })},
		{Key: KeyBusConnected, Metric: "c100k_bus_connected",
			Help: "1 while the bus to other nodes is connected, which a node alone always is; else 0.", Kind: Flag, Add: Own,
			read: flag(func(s *Source) bool { return s.Bus.Connected })},
		{Key: KeyBusReason, Kind: Text, Add: Own, read: text(func(s *Source) string { return s.Bus.Reason })},
		{Key: "bus.peers", Metric: "c100k_bus_peers", Help: "Other nodes on the bus.", Kind: Gauge, Add: Own,
			read: one(func(s *Source) int { return s.Bus.Peers })},
		{Key: "bus.sent_total", Metric: "c100k_bus_sent_total", Help: "Messages sent to the other nodes.",
			read: one(func(s *Source) uint64 { return s.Bus.Sent })},
		{Key: "bus.received_total", Metric: "c100k_bus_received_total", Help: "Messages of other nodes that were delivered here.",
			read: one(func(s *Source) uint64 { return s.Bus.Received })},
		{Key: "bus.missed_total", Metric: "c100k_bus_missed_total",
			Help: "Messages of other nodes that are known to have been lost on the way here.",
			read: one(func(s *Source) uint64 { return s.Bus.Missed })},
		{Key: "bus.unsent_total", Metric: "c100k_bus_unsent_total",
			Help: "Messages of this node that the bus did not take, or could not hand on.",
			read: one(func(s *Source) uint64 { return s.Bus.Unsent })},
		{Key: "bus.probe_seconds", Metric: "c100k_bus_probe_seconds",
			Help: "Time from sending a probe over the bus to its return to this node, once a second.",
			Unit: Seconds, Kind: Durations, read: func(s *Source) Value { return Value{Histogram: s.Bus.probes()} }},
		{Key: "bus.probe_lost_total", Metric: "c100k_bus_probe_lost_total",
			Help: "Probes over the bus that did not come back within 2 s.",
			read: one(func(s *Source) uint64 { return s.Bus.Probes.Lost })},

		// Other Socket.IO servers.
		{Key: "socketio_cluster.sent_total", Metric: "c100k_socketio_cluster_sent_total", Help: "Messages to other Socket.IO servers.",
			read: one(func(s *Source) uint64 { return s.SocketIO.Sent })},
		{Key: "socketio_cluster.unsent_total", Metric: "c100k_socketio_cluster_unsent_total",
			Help: "Messages to other Socket.IO servers that could not be handed on.",
			read: one(func(s *Source) uint64 { return s.SocketIO.Unsent })},
		{Key: "socketio_cluster.received_total", Metric: "c100k_socketio_cluster_received_total",
			Help: "Messages of other Socket.IO servers that were carried out.",
			read: one(func(s *Source) uint64 { return s.SocketIO.Received })},
		{Key: "socketio_cluster.refused_total", Metric: "c100k_socketio_cluster_refused_total",
			Help: "Messages that were not of the format of --socketio-adapter, or broke a limit.",
			read: one(func(s *Source) uint64 { return s.SocketIO.Refused })},
		{Key: "socketio_cluster.busy_total", Metric: "c100k_socketio_cluster_busy_total",
			Help: "Messages of or to other Socket.IO servers that were dropped because a queue was full.",
			read: one(func(s *Source) uint64 { return s.SocketIO.Busy })},
		{Key: "socketio_cluster.disconnects_total", Metric: "c100k_socketio_cluster_disconnects_total",
			Help: "How often the connection to Redis that receives for Socket.IO has ended.",
			read: one(func(s *Source) uint64 { return s.SocketIO.Disconnects })},

		// The configuration, which the parent of a node of several processes reads.
		{Key: "config.reloads_total", Metric: "c100k_config_reloads_total", Help: "Reloads of the configuration, by result: success, or failure, which changes nothing.",
			Labels: []string{"result"}, Add: Own, read: reloads},
		{Key: "config.last_reload_success_timestamp_seconds", Metric: "c100k_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was read, in Unix time: at the last reload that succeeded, or at the start.",
			Unit: Seconds, Kind: Gauge, Add: Own, read: one(func(s *Source) float64 { return unix(s.Reloads.Last) })},

		{Key: "traces.spans_total", Metric: "c100k_otlp_spans_total",
			Help:   "Spans for the collector of --otlp: sent, or dropped because it did not take them or too many waited.",
			Labels: []string{"result"}, read: spans},

		// Certificates, which the parent of a node of several processes reads.
		{Key: KeyCertificates, Metric: "c100k_tls_certificate_expiry_timestamp_seconds",
			Help: "When the certificate expires, by its first name, in Unix time; those of the admin port begin with admin:.",
			Unit: Seconds, Kind: Gauge, Labels: []string{"name"}, Add: Own,
			read: certificates(func(c *Certificate) float64 { return float64(c.NotAfter.Unix()) })},
		{Key: "tls.certificate_valid_seconds", Unit: Seconds, Kind: Gauge, Labels: []string{"name"}, Add: Own,
			read: certificates(func(c *Certificate) float64 { return c.Left.Seconds() })},

		// Durations.
		{Key: "publish_fanout_seconds", Metric: "c100k_publish_fanout_seconds", Help: "Time from a publish to its last socket write.",
			Unit: Seconds, Kind: Durations, read: histogram(func(l *Loop) HistogramSnapshot { return l.FanoutTimes })},
		{Key: "upstream_response_seconds", Metric: "c100k_upstream_response_seconds",
			Help: "Time from a request to the head of the upstream's answer.",
			Unit: Seconds, Kind: Durations, read: func(s *Source) Value { return Value{Histogram: s.UpstreamTimes} }},
		{Key: "loop_turn_seconds", Metric: "c100k_loop_turn_seconds", Help: "Time a turn of a loop took, waiting not counted.",
			Unit: Seconds, Kind: Durations, read: histogram((*Loop).turns)},

		// The processes of the node, together.
		{Key: KeyPrivateBytes, Metric: "c100k_private_bytes", Help: "Memory that only the node's processes map.", Unit: Bytes, Kind: Gauge,
			read: one(func(s *Source) int64 { return s.Process.PrivateBytes })},
		{Key: KeyBaseBytes, Metric: "c100k_base_bytes", Help: "The same when the processes started, before they had connections.", Unit: Bytes,
			Kind: Gauge, read: one(func(s *Source) int64 { return s.Process.BaseBytes })},
		{Key: "memory.heap_bytes", Metric: "c100k_heap_bytes", Help: "Objects of the Go heaps, live or not yet collected.", Unit: Bytes,
			Kind: Gauge, read: one(func(s *Source) int64 { return s.Process.HeapBytes })},
		{Key: "memory.per_connection_bytes", Metric: "c100k_connection_bytes",
			Help: "Memory on top of the base, divided by the connections; a rule of thumb, with the heap's slack and every queue in it.",
			Unit: Bytes, Kind: Gauge, derive: perConnection},
		{Key: KeyCPU, Metric: "c100k_cpu_seconds_total", Help: "Processor time of the node's processes, user and system.", Unit: Seconds,
			read: one(func(s *Source) float64 { return s.Process.CPU.Seconds() })},
		{Key: "goroutines", Metric: "c100k_goroutines", Help: "Goroutines of the node's processes.", Kind: Gauge,
			read: one(func(s *Source) int { return s.Process.Goroutines })},
		{Key: KeyOpenFiles, Metric: "c100k_open_files", Help: "Open descriptors of the node's processes.", Kind: Gauge,
			read: one(func(s *Source) int { return s.Process.OpenFiles })},
		{Key: "files.limit", Metric: "c100k_open_files_limit", Help: "Descriptors that the node's processes may open.", Kind: Gauge,
			read: one(func(s *Source) uint64 { return s.Process.FilesLimit })},

		{Key: "log.dropped_lines_total", Metric: "c100k_log_dropped_lines_total", Help: "Lines of the log that its reader did not take.",
			read: one(func(s *Source) uint64 { return s.Process.LogDropped })},

		// Workers, of a node that has several.
		{Key: KeyWorkerPID, Kind: Gauge, Add: Own, read: perWorker(func(w *Worker) int { return w.PID })},
		{Key: KeyWorkerState, Kind: Text, Add: Own, read: perWorkerText(func(w *Worker) string { return w.State })},
		{Key: KeyWorkerRestarts, Metric: "c100k_worker_restarts_total", Help: "How often the worker was started again.", Add: Own,
			read: perWorker(func(w *Worker) uint64 { return w.Restarts })},
		{Key: "workers[].uptime_seconds", Unit: Seconds, Kind: Gauge, Add: Own,
			read: perWorker(func(w *Worker) float64 { return w.Uptime.Seconds() })},
		{Key: "workers[].connections", Metric: "c100k_worker_connections", Help: "Open connections of the worker.", Kind: Gauge, Add: Own,
			read: perWorker(func(w *Worker) int { return w.Connections })},
		{Key: "workers[].messages_sent_total", Metric: "c100k_worker_messages_sent_total",
			Help: "Messages that the worker, and those before it, sent to clients.", Add: Own,
			read: perWorker(func(w *Worker) uint64 { return w.MessagesSent })},
		{Key: "workers[].cpu_seconds_total", Metric: "c100k_worker_cpu_seconds_total",
			Help: "CPU time of the worker and of those before it, user and system.", Unit: Seconds, Add: Own,
			read: perWorker(func(w *Worker) float64 { return w.CPU.Seconds() })},
		{Key: "workers[].private_bytes", Metric: "c100k_worker_private_bytes", Help: "Private memory of the worker.", Unit: Bytes, Kind: Gauge,
			Add: Own, read: perWorker(func(w *Worker) int64 { return w.PrivateBytes })},
		{Key: "workers[].open_files", Metric: "c100k_worker_open_files", Help: "Open descriptors of the worker.", Kind: Gauge, Add: Own,
			read: perWorker(func(w *Worker) int { return w.OpenFiles })},
		{Key: "workers[].up", Metric: "c100k_worker_up", Help: "1 while the worker serves and answers, else 0.", Kind: Flag, Add: Own,
			read: perWorker(func(w *Worker) float64 { return truth(w.State == WorkerServing) })},
		{Key: "workers[].note", Kind: Text, Add: Own, OmitEmpty: true, read: perWorkerText(func(w *Worker) string { return w.Note })},
	}
}

// lists are the lists of the document: the label of their rows, and whether an empty one is left
// out.
var lists = map[string]struct {
	label     string
	omitEmpty bool
}{
	"loops":   {label: "loop"},
	"workers": {label: "worker", omitEmpty: true},
}

func closed(s *Source) Value {
	v := Value{Families: make(map[string]map[string]float64, len(s.Transports))}
	for name, t := range s.Transports {
		v.Families[name] = floats(t.Closed)
	}
	return v
}

func tlsHandshakes(s *Source) Value {
	v := Value{Families: make(map[string]map[string]float64, len(s.TLSHandshakes))}
	for resumed, versions := range s.TLSHandshakes {
		v.Families[resumed] = floats(versions)
	}
	return v
}

func certificates(f func(c *Certificate) float64) func(*Source) Value {
	return func(s *Source) Value {
		v := Value{Family: make(map[string]float64, len(s.Certificates))}
		for i := range s.Certificates {
			v.Family[s.Certificates[i].Name] = f(&s.Certificates[i])
		}
		return v
	}
}

func hookRequests(s *Source) Value {
	var v Value
	if s.Hooks.Requests != nil {
		v.Families = make(map[string]map[string]float64, len(s.Hooks.Requests))
	}
	for hook, results := range s.Hooks.Requests {
		v.Families[hook] = floats(results)
	}
	return v
}

func slowConsumers(s *Source) Value {
	return Value{Family: map[string]float64{
		"disconnect": float64(s.Hub.Disconnects), "drop_oldest": float64(s.Hub.DroppedOldest),
		"drop_newest": float64(s.Hub.DroppedNewest), "refuse_publish": float64(s.Hub.Refused),
	}}
}

func publishes(s *Source) Value {
	return Value{Family: map[string]float64{
		"accepted": float64(s.Hub.Published - s.Hub.Refused + s.Stored.Accepted),
		"refused":  float64(s.Hub.Refused),
		"failed":   float64(s.Stored.Failed),
	}}
}

func spans(s *Source) Value {
	return Value{Family: map[string]float64{"sent": float64(s.Spans.Sent), "dropped": float64(s.Spans.Dropped)}}
}

func reloads(s *Source) Value {
	return Value{Family: map[string]float64{"success": float64(s.Reloads.Succeeded), "failure": float64(s.Reloads.Failed)}}
}

// unix is a time in seconds of Unix time; 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func perConnection(r *Reading) float64 {
	conns := r.Number(KeyConnections)
	if conns <= 0 {
		return 0
	}
	return float64(int64(max(r.Number(KeyPrivateBytes)-r.Number(KeyBaseBytes), 0) / conns))
}

// rowOf finds a row by its key.
var rowOf map[string]int

func init() {
	Table = rows() // a derived figure reads the table, so its initialization would be a cycle
	rowOf = make(map[string]int, len(Table))
	for i := range Table {
		rowOf[Table[i].Key] = i
	}
	document = makeDocument()
}
