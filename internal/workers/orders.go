// Orders: what a worker is to do, as JSON over its link.

package workers

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"c100k/internal/certs"
	"c100k/server"
)

// Orders are what a worker asks for first. They hold secrets, and go nowhere but over the link.
type Orders struct {
	Worker   int             `json:"worker"`        // its number, from 0
	Workers  int             `json:"workers"`       // how many there are
	Listen   string          `json:"listen"`        // the public address, reserved
	LoopBase int             `json:"loopBase"`      // number of its first loop
	Procs    int             `json:"procs"`         // GOMAXPROCS
	Beat     time.Duration   `json:"beat"`          // between two signs of life
	Durable  string          `json:"durable"`       // server.Worker.Durable
	Config   server.Config   `json:"config"`        // its share; Bus has the secret in it
	TLS      *certs.Material `json:"tls,omitempty"` // for its handshakes; nil: the port is plain
	Log      LogOrders       `json:"log"`
}

// LogOrders say how a worker logs.
type LogOrders struct {
	Format string     `json:"format"` // "text" or "json"
	File   string     `json:"file"`   // which the parent writes too; empty: standard error
	Level  slog.Level `json:"level"`
}

// Change is what a worker gets at a reload.
type Change struct {
	Config server.Config   `json:"config"`
	TLS    *certs.Material `json:"tls,omitempty"`
	Level  slog.Level      `json:"level"`
}

// Failure is a worker's word that it cannot serve.
type Failure struct {
	Text    string             `json:"text"`
	Listen  bool               `json:"listen"`            // the port could not be opened
	Bus     bool               `json:"bus"`               // the bus could not be reached
	Field   *server.FieldError `json:"field,omitempty"`   // a field of the configuration is to blame
	Setting string             `json:"setting,omitempty"` // the field that names what cannot be used
	Why     string             `json:"why,omitempty"`     // what is wrong with that
}

// failureOf puts an error into words that go over the link.
func failureOf(err error) Failure {
	f := Failure{Text: err.Error(), Listen: errors.Is(err, server.ErrListen), Bus: errors.Is(err, server.ErrBus)}
	errors.As(err, &f.Field)
	var setting *server.SettingError
	if errors.As(err, &setting) {
		f.Setting, f.Why = setting.Field, setting.Err.Error()
	}
	return f
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// Unwrap gives back what it was on the other side of the link, as far as somebody asks for it.
func (f *Failure) Unwrap() error {
	switch {
	case f.Field != nil:
		return f.Field
	case f.Listen:
		return server.ErrListen
	case f.Bus:
		return server.ErrBus
	case f.Setting != "":
		return &server.SettingError{Field: f.Setting, Err: errors.New(f.Why)}
	}
	return nil
}

// parseOrders reads orders and refuses those that no parent gives.
func parseOrders(r io.Reader) (*Orders, error) {
	o := new(Orders)
	if err := readDocument(r, o); err != nil {
		return nil, err
	}
	if o.Workers < 1 || o.Workers > server.WorkersMax || o.Worker < 0 || o.Worker >= o.Workers {
		return nil, fmt.Errorf("worker %d of %d: allowed are 1 to %d workers, from 0", o.Worker, o.Workers, server.WorkersMax)
	}
	if o.LoopBase < 0 || o.Procs < 1 {
		return nil, fmt.Errorf("loops from %d on %d processors: neither may be less", o.LoopBase, o.Procs)
	}
	if o.Beat <= 0 {
		return nil, fmt.Errorf("signs of life every %v: more than 0 is allowed", o.Beat)
	}
	if _, err := netip.ParseAddrPort(o.Listen); err != nil {
		return nil, fmt.Errorf("address %q: %w", o.Listen, err)
	}
	if o.Log.Format != "text" && o.Log.Format != "json" {
		return nil, fmt.Errorf("log format %q: allowed are text, json", o.Log.Format)
	}
	return o, o.Config.Validate()
}
