// What a running node can change: who may do what without a token, the keys of tokens, and the key
// of the API.

package server

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"c100k/internal/auth"
	"c100k/netpoll"
)

// live is the part of the configuration that Reload may change.
type live struct {
	apiKey  string
	readKey string
	public  *auth.Public // the rights of clients that were not identified

	verifier     *auth.Verifier // nil: there are no keys
	requireToken bool
	tokenCookie  string
}

// newLive reads it.
func (s *Server) newLive(c *Config) (*live, error) {
	key, err := c.ReadAPIKey()
	if err != nil {
		return nil, err
	}
	public, err := auth.NewPublic(c.Dev, c.PublicTopics)
	if err != nil {
		return nil, &SettingError{"PublicTopics", err}
	}
	verifier, err := s.newVerifier(c)
	if err != nil {
		return nil, err
	}
	return &live{apiKey: key, readKey: c.AdminReadKey, public: public, verifier: verifier, requireToken: c.RequireToken, tokenCookie: c.TokenCookie}, nil
}

// close ends what fetches keys.
func (l *live) close() {
	if l.verifier != nil {
		l.verifier.Close()
	}
}

// may tells whether a client may do something with a topic. What is open to the public is open to a
// client with a token too, unless that denies it. Any goroutine.
func (s *Server) may(who *auth.Principal, right auth.Right, topic string) bool {
	right, topic, ok := rightsOf(right, topic)
	if !ok {
		return false
	}
	public := s.live.Load().public
	if who == nil {
		return public.May(right, topic)
	}
	now := netpoll.Monotonic()
	return who.May(right, topic, now) || !public.Everything() && public.May(right, topic) && !who.Denied(topic, now)
}

// maySubscribe is may for subscribing.
func (s *Server) maySubscribe(who *auth.Principal, topic string) bool {
	return s.may(who, auth.Subscribe, topic)
}

// mayPublish is may for publishing.
func (s *Server) mayPublish(who *auth.Principal, topic string) bool {
	return s.may(who, auth.Publish, topic)
}

// reloadable are the fields of Config that Reload applies; all others need a restart.
var reloadable = []string{
	"PublicTopics", "APIKey", "APIKeyFile", "AdminReadKey",
	"TokenKeys", "TokenJWKS", "TokenIssuers", "TokenAudiences", "TokenCookie", "TokenLeeway", "RequireToken",
	"TLSCerts", "TLSKeys", "TLSMin", "TLSClientCA", "TLSClientAuth", "TLSTicketKeys", "AdminTLSCert", "AdminTLSKey",
}

// Reload applies c to the running node, all or nothing: PublicTopics, APIKey, what says which
// tokens are believed, the files of TLS, TLSMin and TLSClientAuth, and what is in the files that
// these name. Subscriptions and connections that exist stay. A file of TLS that was in use and
// cannot be used now is logged, and its old content stays. The error, an errors.Join of *FieldError
// as a rule,
// names what is wrong with c, or the fields that differ and need a restart; then nothing has
// changed.
func (s *Server) Reload(c Config) error {
	err := s.reload(c)
	s.reloads.Note(time.Now(), err)
	return err
}

// NoteReload counts a reload that failed before there was a configuration to give to Reload: a file
// that cannot be read, for example. Any goroutine.
func (s *Server) NoteReload(err error) { s.reloads.Note(time.Now(), err) }

func (s *Server) reload(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.WithDefaults()
	running := s.cfg
	if s.cluster != nil { // its server has become the bus
		running.Bus, running.HistoryDir = BusMemory, c.HistoryDir
	}
	if err := running.Reloadable(&c); err != nil {
		return err
	}
	l, err := s.newLive(&c)
	if err != nil {
		return err
	}
	if err := s.reloadTLS(&c); err != nil {
		l.close()
		return err
	}
	s.live.Swap(l).close()
	return nil
}

// Reloadable says which fields of next differ that Reload cannot change in a node that runs with c:
// an errors.Join of *FieldError, or nil. Both must have their defaults. Functions, interfaces and
// pointers are the program's, not the configuration file's, and are not compared.
func (c *Config) Reloadable(next *Config) error {
	var errs []error
	old, now := reflect.ValueOf(*c), reflect.ValueOf(*next)
	for i := range old.NumField() {
		name := old.Type().Field(i).Name
		switch old.Field(i).Kind() {
		case reflect.Func, reflect.Interface, reflect.Pointer:
			continue
		}
		if !slices.Contains(reloadable, name) && !reflect.DeepEqual(old.Field(i).Interface(), now.Field(i).Interface()) {
			errs = append(errs, &FieldError{Field: name, Given: "changed", Allowed: "a running node keeps what it was started with: restart it"})
		}
	}
	if c.SpeaksTLS() != next.SpeaksTLS() {
		errs = append(errs, &FieldError{Field: "TLSCerts", Given: "changed", Allowed: "a running port does not begin or cease to speak TLS: restart the node"})
	}
	if (c.AdminTLSCert == "") != (next.AdminTLSCert == "") {
		errs = append(errs, &FieldError{Field: "AdminTLSCert", Given: "changed", Allowed: "a running port does not begin or cease to speak TLS: restart the node"})
	}
	return errors.Join(errs...)
}
