// The rows of `c100k emit`.

package settings

// emitRows are the settings of the command that emits to Socket.IO clients through Redis.
func emitRows(o *EmitOptions) []Setting {
	rows := []Setting{
		{Name: "redis", Value: text(&o.Redis, "URL"), Default: "none: it must be given", Help: "Redis of the servers; rediss: for TLS"},
		{Name: "key", Value: text(&o.Key, "PREFIX"), Help: "prefix of the servers' channels, as in serve --socketio-redis-key"},
		{Name: "nsp", Value: text(&o.Namespace, "NAMESPACE"), Help: "namespace"},
		{Name: "room", Value: texts(&o.Rooms, "ROOM,..."), Default: "none: all sockets of the namespace", Help: "sockets in one of these rooms"},
		{Name: "except", Value: texts(&o.Except, "ROOM,..."), Default: "none", Help: "but not those in one of these"},
		{Name: "volatile", Value: toggle(&o.Volatile), Help: "drop it for clients to which it cannot be sent at once"},
	}
	for i := range rows {
		rows[i].Commands, rows[i].Scope = []string{"emit"}, "emit"
	}
	return rows
}
