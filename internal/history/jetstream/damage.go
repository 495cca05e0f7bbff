// Damage: files of the embedded server that are not what was written, and messages that were given
// positions and are gone. JetStream keeps what it can read, and goes on behind that, with numbers
// that it has given before. So the process that has the server (Options.Owner) notes in the
// metadata of each stream how far it has come.

package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"c100k/broadcast"
)

const (
	metaGiven   = "c100k-given"   // up to this number messages were given out
	metaBoot    = "c100k-boot"    // the boot of the machine on which the server runs; empty after an orderly end
	metaDamaged = "c100k-damaged" // up to this number messages are missing that nobody has forgotten
)

// bootOf names this boot of the machine; empty where the kernel does not say it.
func bootOf() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// streamState is what the server says of a stream and nats.StreamInfo leaves out.
type streamState struct {
	First   uint64   `json:"first_seq"`
	Deleted []uint64 `json:"deleted"` // the numbers of what it has dropped
	Lost    *struct {
		Messages []uint64 `json:"msgs"`
		Bytes    uint64   `json:"bytes"`
	} `json:"lost"` // what it could not read when it started
}

func (s *Store) stateOf(ctx context.Context, st *stream) (streamState, error) {
	var info struct {
		State streamState `json:"state"`
	}
	m, err := s.conn.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+st.name, []byte(`{"deleted_details":true}`))
	if err == nil {
		err = json.Unmarshal(m.Data, &info)
	}
	return info.State, err
}

// examine compares a stream with what was noted of it, before anybody uses it. If messages are gone
// that may have been given out, its topics begin a new epoch.
func (s *Store) examine(ctx context.Context, st *stream, info *nats.StreamInfo) error {
	meta := maps.Clone(info.Config.Metadata)
	state, err := s.stateOf(ctx, st)
	if err != nil {
		return err
	}
	given, _ := strconv.ParseUint(meta[metaGiven], 10, 64)
	why := ""
	switch {
	case state.Lost != nil && (len(state.Lost.Messages) > 0 || state.Lost.Bytes > 0):
		why = fmt.Sprintf("files are damaged: %d messages or more cannot be read", max(len(state.Lost.Messages), 1))
	case info.State.LastSeq < given:
		why = fmt.Sprintf("files are damaged: the last %d messages are gone", given-info.State.LastSeq)
	case meta[metaBoot] != "" && meta[metaBoot] != s.boot && !s.grouped():
		why = "the machine has stopped, and what was not on the disk is gone"
	}
	if why != "" {
		meta[metaEpoch], meta[metaDamaged] = newEpoch(), ""
		s.log.Error("history has lost messages: its topics begin a new epoch", "stream", st.name, "pattern", meta[metaPattern], "reason", why, "kept", info.State.Msgs)
	}
	meta[metaBoot], meta[metaGiven] = s.boot, strconv.FormatUint(info.State.LastSeq, 10)
	if err := s.note(ctx, st, info, meta); err != nil {
		return err
	}
	return st.adopt(info)
}

// note writes the metadata of a stream.
func (s *Store) note(ctx context.Context, st *stream, info *nats.StreamInfo, meta map[string]string) error {
	info.Config.Metadata = meta
	_, err := s.js.UpdateStream(&info.Config, nats.Context(ctx))
	return err
}

// verify finds out whether messages are missing among those that were taken from a stream, in their
// order, from number begin up to end, and that the server has not dropped: it passes over what it
// cannot read. What is in front of them is not shown any more.
func (s *Store) verify(ctx context.Context, st *stream, info *nats.StreamInfo, taken []uint64, begin, end uint64) error {
	if uint64(len(taken)) >= info.State.Msgs || info.State.NumDeleted > deletedMax {
		return nil
	}
	state, err := s.stateOf(ctx, st)
	if err != nil {
		return err
	}
	there := make(map[uint64]bool, len(taken)+len(state.Deleted))
	for _, numbers := range [][]uint64{taken, state.Deleted} {
		for _, n := range numbers {
			there[n] = true
		}
	}
	missing, last := 0, uint64(0)
	for n := max(begin, state.First); n <= end; n++ {
		if !there[n] {
			missing, last = missing+1, n
		}
	}
	if missing == 0 || last <= st.damaged.Load() {
		return nil
	}
	s.log.Error("messages of history cannot be read: a file is damaged", "stream", st.name, "messages", missing, "last", last)
	meta := maps.Clone(info.Config.Metadata)
	meta[metaDamaged] = strconv.FormatUint(last, 10)
	if err := s.note(ctx, st, info, meta); err != nil {
		return err
	}
	s.takeDamage(st, meta)
	return nil
}

// noteGiven notes how far a stream has come.
func (s *Store) noteGiven(ctx context.Context, st *stream, info *nats.StreamInfo) {
	if given := strconv.FormatUint(info.State.LastSeq, 10); given != info.Config.Metadata[metaGiven] {
		meta := maps.Clone(info.Config.Metadata)
		meta[metaGiven] = given
		_ = s.note(ctx, st, info, meta) // the next look tries again
	}
}

// takeDamage takes over what the metadata says of damage.
func (s *Store) takeDamage(st *stream, meta map[string]string) {
	last, _ := strconv.ParseUint(meta[metaDamaged], 10, 64)
	if last <= st.damaged.Load() {
		return
	}
	st.damaged.Store(last)
	if s.hub != nil {
		st.floor.Store(max(st.floor.Load(), last))
		s.hub.Lost(func(topic string) bool { return s.of(topic) == st }, last)
	}
}

// farewell notes an orderly end.
func (s *Store) farewell() {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
	defer cancel()
	for _, st := range s.streams {
		info, err := s.js.StreamInfo(st.name, nats.Context(ctx))
		if err != nil {
			return
		}
		meta := maps.Clone(info.Config.Metadata)
		meta[metaBoot], meta[metaGiven] = "", strconv.FormatUint(info.State.LastSeq, 10)
		if err := s.note(ctx, st, info, meta); err != nil {
			return
		}
	}
}

// behindDamage leaves out what is in front of damage: something is missing there.
func (st *stream) behindDamage(f *broadcast.Filling) {
	last := st.damaged.Load()
	for len(f.Messages) > 0 && f.Messages[0].Offset <= last {
		f.Messages = f.Messages[1:]
	}
	f.After = min(max(f.After, last), f.Until.Offset)
	if last > 0 && f.After == last {
		f.More = false
	}
}
