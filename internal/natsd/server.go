// Package natsd is a NATS server inside the process: the bus of a node's workers, of a cluster that
// needs nothing installed, and the store of durable history.
//
// Clients reach it on a free port of loopback, with a secret that is made at each start. With a
// [Cluster] it listens for other servers as well; between them everything is TLS 1.3, and a server
// that does not know the shared secret is refused in the handshake (secret.go).
package natsd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options are those of one server.
type Options struct {
	// Name is by what the servers of a cluster know this one; it must differ between them, and must
	// stay the same over restarts where there is a Store. Empty: a random one.
	Name string
	// PayloadBytesMax is the largest payload that a client may send, in bytes.
	PayloadBytesMax int
	// PendingBytesMax is what may wait for one client, in bytes, before it is cut off as too slow.
	PendingBytesMax int64
	// Cluster joins other servers. Nil: the server stands alone.
	Cluster *Cluster
	// Store turns JetStream on. Nil: nothing is kept.
	Store *Store
	// Label stands before each line of the log.
	Label string
	// Logger gets what operators want to know. Nil: nothing is logged.
	Logger *slog.Logger
}

// Cluster says how servers join.
type Cluster struct {
	Listen string   // ADDR:PORT for the other servers
	Peers  []string // HOST:PORT of others; one that runs is enough, it tells of the rest
	Secret []byte   // that all servers share; SecretBytesMin at least
}

// Store says where JetStream keeps streams.
type Store struct {
	// Dir is where they lie. It is made, and belongs to one process at a time: another one is refused.
	// Empty: streams lie in memory only.
	Dir          string
	MemoryMax    int64         // for all streams in memory, in bytes
	SyncAlways   bool          // fsync before each acknowledgement
	SyncGroups   bool          // fsync when a client asks for it: SyncSubject
	SyncInterval time.Duration // between two fsyncs otherwise; 0 is the server's default of 2 minutes
}

// Server is one that runs. Any goroutine.
type Server struct {
	nats *server.Server
	url  string // with the secret in it
	dir  *ownedDir
	sync *syncer // nil: nobody asks for syncs
}

// Start starts a server and returns when clients can connect. It fails if the address of the
// cluster cannot be listened on, or the store cannot be opened. Peers that cannot be reached are
// tried for ever.
func Start(o Options) (*Server, error) {
	secret := rand.Text()
	options := &server.Options{
		ServerName: o.Name, Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: secret,
		MaxPayload: int32(o.PayloadBytesMax), MaxPending: o.PendingBytesMax,
		NoSigs: true, // signals belong to the process
		// The system account's events have no reader; a cluster's JetStream talks over it.
		NoSystemAccount: o.Store == nil,
	}
	if o.Cluster != nil {
		if err := join(options, o.Cluster); err != nil {
			return nil, fmt.Errorf("natsd: %w", err)
		}
	}
	var dir *ownedDir
	if s := o.Store; s != nil {
		var err error
		if dir, err = ownDir(s.Dir); err != nil {
			return nil, err
		}
		options.JetStream, options.StoreDir = true, dir.path
		options.JetStreamMaxMemory = max(s.MemoryMax, storeMemoryBytesMax)
		options.SyncAlways, options.SyncInterval, options.DisableJetStreamBanner = s.SyncAlways, s.SyncInterval, true
		options.StreamMaxBufferedMsgs = storeBufferedMax
	}
	nats, err := server.NewServer(options)
	if err != nil {
		dir.release()
		return nil, fmt.Errorf("natsd: %w", err)
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	told := &natsLog{log: log, label: o.Label}
	nats.SetLoggerV2(told, false, false, false)
	nats.Start()
	s := &Server{nats: nats, dir: dir}
	if err := s.ready(told); err != nil {
		s.Close()
		return nil, fmt.Errorf("natsd: %w", err)
	}
	where := url.URL{Scheme: "nats", User: url.User(secret), Host: nats.Addr().String()}
	s.url = where.String()
	if o.Store != nil && o.Store.SyncGroups {
		var err error
		if s.sync, err = newSyncer(filepath.Join(dir.path, server.JetStreamStoreDir), s.url, (*os.File).Sync, log); err != nil {
			s.Close()
			return nil, fmt.Errorf("natsd: %w", err)
		}
	}
	return s, nil
}

// ready waits until the server takes clients. A server that cannot start says why in its log, as
// fatal.
func (s *Server) ready(told *natsLog) error {
	for giveUp := time.Now().Add(startTimeout); ; {
		if s.nats.ReadyForConnections(startCheckEvery) {
			return nil
		}
		if why := told.fatal.Load(); why != nil {
			return errors.New(*why)
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("the embedded NATS server does not start within %v", startTimeout)
		}
	}
}

// URL is where clients connect, with the secret: nats://SECRET@127.0.0.1:PORT.
func (s *Server) URL() string { return s.url }

// ClusterAddr is where the other servers reach this one, nil if it stands alone.
func (s *Server) ClusterAddr() *net.TCPAddr { return s.nats.ClusterAddr() }

// Routes is the number of other servers that it is connected to.
func (s *Server) Routes() int { return s.nats.NumRoutes() }

// Close stops the server and waits for its end. Closing again does nothing.
func (s *Server) Close() {
	s.sync.close()
	s.sync = nil
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	s.dir.release()
}

// join sets the options of a cluster.
func join(o *server.Options, c *Cluster) error {
	host, port, err := splitAddr(c.Listen)
	if err != nil {
		return fmt.Errorf("the cluster's address: %w", err)
	}
	keys, err := deriveKeys(c.Secret)
	if err != nil {
		return err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	o.Cluster = server.ClusterOpts{
		Name: clusterName, Host: host, Port: port, Username: clusterUser, Password: keys.password,
		AuthTimeout: authTimeout.Seconds(), TLSTimeout: authTimeout.Seconds(), TLSConfig: keys.config,
		NoAdvertise:    true, // clients stay with the server of their own process
		ConnectRetries: routeRetries,
		PoolSize:       -1, // one connection between two servers keeps the order of messages
		PingInterval:   routePingInterval, MaxPingsOut: routePingsOutMax,
	}
	for _, peer := range c.Peers {
		if _, _, err := splitAddr(peer); err != nil {
			return fmt.Errorf("the peer %q: %w", peer, err)
		}
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", User: url.UserPassword(clusterUser, keys.password), Host: peer})
	}
	return nil
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = net.LookupPort("tcp", text)
	return host, port, err
}

// natsLog writes the log of the server to a slog.Logger: messages for operators, without its
// banner.
type natsLog struct {
	log   *slog.Logger
	label string
	fatal atomic.Pointer[string] // the first one
}

// Noticef implements server.Logger.
func (l *natsLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Warnf implements server.Logger.
func (l *natsLog) Warnf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Fatalf implements server.Logger. The server goes on after it, and does not start.
func (l *natsLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &why)
	l.write(slog.LevelError, format, v)
}

// Errorf implements server.Logger.
func (l *natsLog) Errorf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.Contains(format, "Slow Consumer") {
		level = slog.LevelError
	}
	l.write(level, format, v)
}

// Debugf implements server.Logger.
func (l *natsLog) Debugf(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Tracef implements server.Logger.
func (l *natsLog) Tracef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

func (l *natsLog) write(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, l.label+": "+fmt.Sprintf(format, v...))
}
