// Revocations: tokens and subjects that are refused before their time is over.

package auth

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Revocation refuses the tokens of a subject, or one token. Times are Unix seconds.
type Revocation struct {
	ID           string `json:"id"`                      // made of the other fields
	Subject      string `json:"sub,omitempty"`           // all tokens of this subject,
	IssuedBefore int64  `json:"issued_before,omitempty"` // or those of it that were issued before this
	TokenID      string `json:"jti,omitempty"`           // the token with this id
	Expires      int64  `json:"expires"`                 // when it is forgotten: the tokens have expired by then
}

// ErrRevocations is returned where no more revocations are kept.
var ErrRevocations = fmt.Errorf("%d revocations are kept already: take some back", RevocationsMax)

// Check completes r at the time now, and tells what is wrong with it.
func (r *Revocation) Check(now time.Time) error {
	switch {
	case (r.Subject == "") == (r.TokenID == ""):
		return errors.New("one of sub and jti is needed")
	case r.TokenID != "" && r.IssuedBefore != 0:
		return errors.New("issued_before belongs to sub")
	case len(r.Subject) > SubjectBytesMax || len(r.TokenID) > IDBytesMax:
		return fmt.Errorf("sub and jti have at most %d bytes", SubjectBytesMax)
	case r.IssuedBefore < 0 || r.IssuedBefore > instantMax || r.Expires < 0 || r.Expires > instantMax:
		return errors.New("a time is Unix seconds, up to the year 9999")
	case r.Expires == 0:
		r.Expires = now.Add(RevocationKept).Unix()
	case r.Expires <= now.Unix():
		return errors.New("expires is past")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", r.Subject, r.TokenID, r.IssuedBefore))
	r.ID = hex.EncodeToString(sum[:12])
	return nil
}

// Revocations are those of a node. The zero value has none and keeps them in memory only. Any
// goroutine; Revoked takes no lock.
type Revocations struct {
	count    atomic.Int64 // spares Revoked the look-ups when there are none
	tokens   sync.Map     // the jti that are revoked
	subjects sync.Map     // sub to a subjectCut

	mu   sync.Mutex // guards the fields below
	byID map[string]Revocation
	log  *os.File // nil: they are not kept over a restart
	path string
}

// subjectCut is what all revocations of a subject say together.
type subjectCut struct {
	all    bool
	before int64
}

// Revoked tells whether the token of p was revoked.
func (v *Revocations) Revoked(p *Principal) bool {
	if p == nil || v.count.Load() == 0 {
		return false
	}
	if p.ID != "" {
		if _, revoked := v.tokens.Load(p.ID); revoked {
			return true
		}
	}
	c, found := v.subjects.Load(p.Subject)
	return found && (c.(subjectCut).all || p.IssuedAt < c.(subjectCut).before)
}

// Add adds revocations that Check has completed, those that are not there yet. The error is
// ErrRevocations, or that of the file; those before it are added.
func (v *Revocations) Add(now time.Time, list ...Revocation) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	var lines []byte
	var err error
	for i := range list {
		r := &list[i]
		if old, there := v.byID[r.ID]; there && old.Expires >= r.Expires || r.Expires <= now.Unix() {
			continue
		}
		if len(v.byID) >= RevocationsMax {
			v.purge(now)
		}
		if len(v.byID) >= RevocationsMax {
			err = ErrRevocations
			break
		}
		v.put(r)
		if v.log != nil {
			lines = appendLine(lines, r)
		}
	}
	return errors.Join(err, v.write(lines))
}

// put adds one, under mu.
func (v *Revocations) put(r *Revocation) {
	if v.byID == nil {
		v.byID = map[string]Revocation{}
	}
	v.byID[r.ID] = *r
	if r.TokenID != "" {
		v.tokens.Store(r.TokenID, struct{}{})
	} else {
		c, _ := v.subjects.Load(r.Subject)
		cut, _ := c.(subjectCut)
		cut.add(r)
		v.subjects.Store(r.Subject, cut)
	}
	v.count.Store(int64(len(v.byID)))
}

// Remove takes one back, and tells whether there was one.
func (v *Revocations) Remove(id string) (found bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, found = v.byID[id]; !found {
		return false, nil
	}
	v.drop(id)
	return true, v.write(appendLine(nil, &removal{Removed: id}))
}

// removal is the line of one that was taken back.
type removal struct {
	Removed string `json:"removed"`
}

// drop forgets one, under mu. Revoked sees the revocations before or those after, never fewer.
func (v *Revocations) drop(id string) {
	r := v.byID[id]
	delete(v.byID, id)
	if r.TokenID != "" {
		v.tokens.Delete(r.TokenID)
	} else {
		v.recut(r.Subject)
	}
	v.count.Store(int64(len(v.byID)))
}

// recut sums up what is left of a subject's revocations, under mu.
func (v *Revocations) recut(subject string) {
	var cut subjectCut
	for _, r := range v.byID { // a subject has one or two, so this is rare
		if r.TokenID == "" && r.Subject == subject {
			cut.add(&r)
		}
	}
	if cut == (subjectCut{}) {
		v.subjects.Delete(subject)
	} else {
		v.subjects.Store(subject, cut)
	}
}

// add adds what one revocation says.
func (c *subjectCut) add(r *Revocation) {
	c.all = c.all || r.IssuedBefore == 0
	c.before = max(c.before, r.IssuedBefore)
}

// Purge forgets those that have expired: what they refused is allowed again. The node calls it
// every minute or so.
func (v *Revocations) Purge(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.purge(now)
}

// purge is Purge, under mu.
func (v *Revocations) purge(now time.Time) {
	subjects := map[string]struct{}{}
	for id, r := range v.byID {
		if r.Expires > now.Unix() {
			continue
		}
		delete(v.byID, id)
		if r.TokenID != "" {
			v.tokens.Delete(r.TokenID)
		} else {
			subjects[r.Subject] = struct{}{}
		}
	}
	if len(subjects) > 0 {
		cuts := map[string]subjectCut{}
		for _, r := range v.byID {
			if _, ends := subjects[r.Subject]; ends && r.TokenID == "" {
				cut := cuts[r.Subject]
				cut.add(&r)
				cuts[r.Subject] = cut
			}
		}
		for subject := range subjects {
			if cut, left := cuts[subject]; left {
				v.subjects.Store(subject, cut)
			} else {
				v.subjects.Delete(subject)
			}
		}
	}
	v.count.Store(int64(len(v.byID)))
}

// List is those that hold at the time now, by id: at most so many behind after.
func (v *Revocations) List(now time.Time, after string, most int) []Revocation {
	v.mu.Lock()
	list := make([]Revocation, 0, len(v.byID))
	for _, r := range v.byID {
		if r.Expires > now.Unix() && r.ID > after {
			list = append(list, r)
		}
	}
	v.mu.Unlock()
	slices.SortFunc(list, func(a, b Revocation) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(len(list), most)]
}

// revocationsFile is the name of the file in the directory of the node's state.
const revocationsFile = "revocations.jsonl"

// Open reads the revocations that dir has, and with keep adds those to come to it, one line each.
// The directory is made. Of the processes of a node one keeps.
func (v *Revocations) Open(dir string, keep bool, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.path = filepath.Join(dir, revocationsFile)
	if err := v.load(now); err != nil {
		return fmt.Errorf("read revocations: %w", err)
	}
	if !keep {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep revocations: %w", err)
	}
	// The file is written anew, without those that were taken back or have expired.
	next, err := os.OpenFile(v.path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep revocations: %w", err)
	}
	v.log = next
	var lines []byte
	for _, r := range v.byID {
		lines = appendLine(lines, &r)
	}
	if err := errors.Join(v.write(lines), os.Rename(v.path+".new", v.path)); err != nil {
		return errors.Join(fmt.Errorf("keep revocations: %w", err), v.closeLog())
	}
	return nil
}

// load reads the file. A last line that was not written whole is left out.
func (v *Revocations) load(now time.Time) error {
	file, err := os.Open(v.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line struct {
			Revocation
			removal
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		if _, there := v.byID[line.Removed]; there {
			v.drop(line.Removed)
		}
		if r := &line.Revocation; r.Check(now) == nil && len(v.byID) < RevocationsMax {
			v.put(r)
		}
	}
	return lines.Err()
}

func appendLine(dst []byte, v any) []byte {
	line, _ := json.Marshal(v) // strings and numbers
	return append(append(dst, line...), '\n')
}

// write adds lines to the file and waits until they are on the disk, under mu.
func (v *Revocations) write(lines []byte) error {
	if v.log == nil || len(lines) == 0 {
		return nil
	}
	if _, err := v.log.Write(lines); err != nil {
		return err
	}
	return v.log.Sync()
}

// Close closes the file.
func (v *Revocations) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closeLog()
}

func (v *Revocations) closeLog() error {
	if v.log == nil {
		return nil
	}
	err := v.log.Close()
	v.log = nil
	return err
}
