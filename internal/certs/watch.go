// Which directories are watched. Files are replaced by renaming, and in Kubernetes by a symbolic
// link that changes, so it is directories and not files.

package certs

import (
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// watch begins to watch. Where that is not possible, a reload still reads the files.
func (s *Source) watch() {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("files of TLS are not watched; HUP reads them", "err", err)
		return
	}
	s.watcher = watcher
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchFiles()
}

// events are what the watcher has to say; channels that never do where there is none.
func (s *Source) events() (<-chan fsnotify.Event, <-chan error) {
	if s.watcher == nil {
		return nil, nil
	}
	return s.watcher.Events, s.watcher.Errors
}

// watchFiles watches the directories of the files in use, and no others.
func (s *Source) watchFiles() {
	if s.watcher == nil {
		return
	}
	wanted := s.files.directories()
	for _, dir := range s.watcher.WatchList() {
		if !slices.Contains(wanted, dir) {
			_ = s.watcher.Remove(dir) // it may be gone already
		}
	}
	for _, dir := range wanted {
		if err := s.watcher.Add(dir); err != nil {
			s.log.Warn("directory of TLS files is not watched; HUP reads them", "directory", dir, "err", err)
		}
	}
}

// directories are those of the files, and of what they link to.
func (f *Files) directories() []string {
	paths := []string{f.ClientCA, f.TicketKeys}
	for _, p := range f.Pairs {
		paths = append(paths, p.Cert, p.Key)
	}
	var dirs []string
	for _, path := range paths {
		if path == "" {
			continue
		}
		dirs = append(dirs, filepath.Dir(path))
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
