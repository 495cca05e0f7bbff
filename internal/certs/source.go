// The source of certificates: what was read, what is replaced, and who hears of it.

package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Files are the files of a node's TLS.
type Files struct {
	Pairs      []Pair // the first is the default
	ClientCA   string // authorities of clients; empty: none
	TicketKeys string // shared with other nodes; empty: the source makes keys
}

// What a file is for.
const (
	OfPair       = "certificate"
	OfClientCA   = "authorities of clients"
	OfTicketKeys = "keys of session tickets"
)

// FileError is a file that cannot be used and has nothing in its place.
type FileError struct {
	For  string // one of the words above
	Path string
	Err  error // names the file
}

// Error implements error.
func (e *FileError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Options are what a source is made of.
type Options struct {
	Files Files
	Dev   bool  // a certificate is made for this start
	ACME  *ACME // nil: none
	// Changed is called on a goroutine of the source when Material has changed by itself; nil: nobody
	// is told.
	Changed func()
	Logger  *slog.Logger // nil: nothing is logged

	now func() time.Time // nil: the system's clock
}

// Source reads files, watches them, rotates ticket keys and runs ACME. Any goroutine.
type Source struct {
	opt     Options
	log     *slog.Logger
	now     func() time.Time
	watcher *fsnotify.Watcher // nil: files are read at a reload only
	issuer  *issuer           // nil without ACME
	poked   chan struct{}     // somebody wants everything to be read again
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	mu          sync.Mutex // guards the fields below
	files       Files
	pairs       []*held
	dev         *held // nil: none
	authorities []byte
	keys        []TicketKey // of the file
	ring        ring        // without a file
	faults      map[string]string
	warned      map[string]warning // by name
	material    *Material
}

// held is a certificate that is in use.
type held struct {
	files Pair
	text  *PairPEM
	cert  *tls.Certificate
}

// Open reads everything once; the error names the file that cannot be used. Close ends it.
func Open(opt Options) (*Source, error) {
	s := &Source{opt: opt, log: opt.Logger, now: opt.now, poked: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
		faults: map[string]string{}, warned: map[string]warning{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.first(); err != nil {
		return nil, err
	}
	if opt.ACME != nil {
		s.issuer = newIssuer(opt.ACME, s.log, s.poke)
	}
	s.mu.Lock()
	s.renew()
	s.check()
	s.mu.Unlock()
	s.watch()
	go s.run()
	return s, nil
}

// first reads what has to be there at the start.
func (s *Source) first() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opt.Dev {
		text, err := Self(s.now())
		if err != nil {
			return fmt.Errorf("make the certificate for development: %w", err)
		}
		cert, err := text.parse()
		if err != nil {
			return err
		}
		s.dev = &held{text: text, cert: cert}
	}
	return s.take(s.opt.Files)
}

// take reads other files than those that are in use. What was in use under the same name stays
// where the file cannot be used now; what is new must be usable, or nothing changes.
func (s *Source) take(files Files) error {
	next := make([]*held, 0, len(files.Pairs))
	var errs []error
	for _, p := range files.Pairs {
		text, cert, err := p.Read(s.now())
		if err == nil {
			next = append(next, &held{p, text, cert})
			continue
		}
		if i := slices.IndexFunc(s.pairs, func(h *held) bool { return h.files == p }); i >= 0 {
			s.fault(p.Cert, "certificate cannot be used; the old one stays", err)
			next = append(next, s.pairs[i])
			continue
		}
		errs = append(errs, &FileError{OfPair, p.Cert, err})
	}
	authorities, err := s.takeAuthorities(files)
	errs = append(errs, err)
	keys, err := s.takeKeys(files)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, h := range next {
		s.told(h)
	}
	s.files, s.pairs, s.authorities, s.keys = files, next, authorities, keys
	if files.TicketKeys == "" {
		s.ring.rotate(s.now())
	}
	return nil
}

// told logs a certificate that is new, or that is well again.
func (s *Source) told(h *held) {
	i := slices.IndexFunc(s.pairs, func(old *held) bool { return old.files == h.files })
	if i >= 0 && s.pairs[i].text.equal(h.text) {
		return
	}
	delete(s.faults, h.files.Cert)
	what := "certificate in use"
	if i >= 0 {
		what = "certificate replaced"
	}
	s.log.Info(what, "name", NameOf(h.cert.Leaf), "file", h.files.Cert, "expires", h.cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

func (s *Source) takeAuthorities(files Files) ([]byte, error) {
	if files.ClientCA == "" {
		return nil, nil
	}
	text, _, err := ReadAuthorities(files.ClientCA)
	switch {
	case err == nil:
		delete(s.faults, files.ClientCA)
		if s.files.ClientCA == files.ClientCA && !bytes.Equal(text, s.authorities) {
			s.log.Info("authorities of clients replaced", "file", files.ClientCA)
		}
		return text, nil
	case s.files.ClientCA == files.ClientCA:
		s.fault(files.ClientCA, "authorities of clients cannot be used; the old ones stay", err)
		return s.authorities, nil
	}
	return nil, &FileError{OfClientCA, files.ClientCA, err}
}

func (s *Source) takeKeys(files Files) ([]TicketKey, error) {
	if files.TicketKeys == "" {
		return nil, nil
	}
	keys, err := ReadTicketKeys(files.TicketKeys)
	switch {
	case err == nil:
		delete(s.faults, files.TicketKeys)
		if s.files.TicketKeys == files.TicketKeys && !slices.Equal(keys, s.keys) {
			s.log.Info("keys of session tickets replaced", "file", files.TicketKeys, "keys", len(keys))
		}
		if s.files.TicketKeys == "" && readableByOthers(files.TicketKeys) {
			s.log.Warn("everybody on this machine can read the keys of session tickets", "file", files.TicketKeys)
		}
		return keys, nil
	case s.files.TicketKeys == files.TicketKeys:
		s.fault(files.TicketKeys, "keys of session tickets cannot be used; the old ones stay", err)
		return s.keys, nil
	}
	return nil, &FileError{OfTicketKeys, files.TicketKeys, err}
}

// fault logs what is wrong with a file, once for each way in which it is wrong.
func (s *Source) fault(file, what string, err error) {
	if s.faults[file] == err.Error() {
		return
	}
	s.faults[file] = err.Error()
	s.log.Error(what, "err", err)
}

// Reload reads the files again, which may be others than before. If a file that is new cannot be
// used, nothing changes and the error names it; of one that was in use, the old content stays and
// that is logged. Changed is not called.
func (s *Source) Reload(files Files) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.take(files); err != nil {
		return err
	}
	s.renew()
	s.watchFiles()
	return nil
}

// refresh reads everything again, and tells of what has changed.
func (s *Source) refresh() {
	if s.issuer != nil {
		s.issuer.read()
	}
	s.mu.Lock()
	// What is in use can be read or stays: there is no error.
	_ = s.take(s.files)
	changed := s.renew()
	s.check()
	s.mu.Unlock()
	if changed && s.opt.Changed != nil {
		s.opt.Changed()
	}
}

// poke has the source read everything again, soon. It does not block.
func (s *Source) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// renew makes the material of what was read. It tells whether it differs from the last.
func (s *Source) renew() bool {
	m := &Material{Authorities: s.authorities, TicketKeys: slices.Clone(s.keys)}
	if s.files.TicketKeys == "" {
		m.TicketKeys = slices.Clone(s.ring.keys)
	}
	for _, h := range s.all() {
		m.Pairs = append(m.Pairs, *h.text)
	}
	if s.issuer != nil {
		m.ACME = s.issuer.names
	}
	old := s.material
	if old != nil && bytes.Equal(old.Authorities, m.Authorities) && slices.Equal(old.TicketKeys, m.TicketKeys) &&
		slices.EqualFunc(old.Pairs, m.Pairs, func(a, b PairPEM) bool { return a.equal(&b) }) {
		return false
	}
	s.material = m
	return true
}

// all are the certificates in use, the default first.
func (s *Source) all() []*held {
	all := slices.Clone(s.pairs)
	if s.dev != nil {
		all = append(all, s.dev)
	}
	if s.issuer != nil {
		all = append(all, s.issuer.held()...)
	}
	return all
}

// Material is what there is now; nil on a nil source.
func (s *Source) Material() *Material {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.material
}

// DevFingerprint is the fingerprint of the certificate that was made for this start; empty: none.
func (s *Source) DevFingerprint() string {
	if s == nil || s.dev == nil {
		return ""
	}
	return Fingerprint(s.dev.cert.Certificate[0])
}

// run looks after everything until Close.
func (s *Source) run() {
	defer close(s.stopped)
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	settle := time.NewTimer(0)
	<-settle.C
	defer settle.Stop()
	settling := false
	events, failures := s.events()
	for {
		select {
		case <-events:
			if !settling { // a directory in which files change all the time must not put it off for ever
				settling = true
				settle.Reset(settleTime)
			}
		case err := <-failures:
			s.log.Warn("files of TLS may have changed unseen; HUP reads them", "err", err)
		case <-settle.C:
			settling = false
			s.refresh()
		case <-s.poked:
			s.refresh()
		case <-check.C:
			s.refresh()
		case <-s.stop:
			return
		}
	}
}

// Close ends the source. Its last material stays usable. On a nil source it does nothing.
func (s *Source) Close() {
	if s == nil {
		return
	}
	s.once.Do(func() {
		close(s.stop)
		<-s.stopped
		if s.watcher != nil {
			_ = s.watcher.Close()
		}
		if s.issuer != nil {
			s.issuer.close()
		}
	})
}
