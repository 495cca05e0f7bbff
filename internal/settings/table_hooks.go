// The rows of hooks.

package settings

import "c100k/server"

// hookRows are the settings of the backend that decides and is told, in the order of help.
func hookRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "hook-connect", Field: "HookConnect", Value: text(&n.HookConnect, "URL"), Example: "http://127.0.0.1:8000/hook",
			Help: "backend that decides who may connect; see docs/hooks.md"},
		{Name: "hook-subscribe", Field: "HookSubscribe", Value: text(&n.HookSubscribe, "URL"), Example: "http://127.0.0.1:8000/hook",
			Help: "backend that decides who may subscribe"},
		{Name: "hook-publish", Field: "HookPublish", Value: text(&n.HookPublish, "URL"), Example: "http://127.0.0.1:8000/hook",
			Help: "backend that decides which client may publish"},
		{Name: "hook-events", Field: "HookEvents", Value: text(&n.HookEvents, "URL"), Example: "http://127.0.0.1:8000/events",
			Help: "backend that is told of connect, disconnect, and topics that become occupied or vacated"},
		{Name: "hook-timeout", Field: "HookTimeout", Value: duration(&n.HookTimeout),
			Help: "how long a request to the backend waits for its turn, and then how long it may take"},
		{Name: "hook-concurrency", Field: "HookConcurrency", Value: count(&n.HookConcurrency), Unit: "requests",
			Help: "requests that one backend gets at one time, over all workers; the others wait"},
		{Name: "hook-secret-file", Field: "HookSecretFile", Value: text(&n.HookSecretFile, "FILE"), Default: "none: not signed", Example: "/etc/c100k/hook-secret",
			Help: "file with the secret that signs requests to the backend"},
		{Name: "hook-fail", Field: "HookFail", Value: choice(&n.HookFail, server.HookFailClosed, server.HookFailOpen), Arg: "POLICY",
			Help: "what it means if the backend does not decide: closed refuses, open allows"},
		{Name: "hook-header", Field: "HookHeaders", Value: texts(&n.HookHeaders, "NAME,..."), Default: "none", Example: "[Cookie]",
			Help: "header fields of the client's request that the connect hook gets"},
		{Name: "state-dir", Field: "StateDir", Value: text(&n.StateDir, "DIR"), Default: "none: memory", Example: "/var/lib/c100k",
			Help: "directory for what outlives the process: revocations, and events that the backend has not taken"},
	}
}
