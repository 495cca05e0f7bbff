// Reading numbers and words from proc and sys.

package doctor

import (
	"io/fs"
	"strconv"
	"strings"
)

// unlimited is the value of a file that says "max".
const unlimited = int64(1) << 62

// words returns the fields of a file; nil when it is not there.
func (h Host) words(path string) []string {
	content, err := fs.ReadFile(h.Root, path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(content))
}

// number returns field i of a file.
func (h Host) number(path string, i int) (int64, bool) {
	words := h.words(path)
	if i >= len(words) {
		return 0, false
	}
	return parse(words[i])
}

// keyed returns the number behind a word that begins a line: "MemAvailable:" in meminfo,
// "inactive_file" in memory.stat.
func (h Host) keyed(path, key string) (int64, bool) {
	content, err := fs.ReadFile(h.Root, path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			return parse(fields[1])
		}
	}
	return 0, false
}

func parse(word string) (int64, bool) {
	if word == "max" {
		return unlimited, true
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		// fs.file-max and cgroup limits without a bound are written as numbers beyond int64.
		if _, err = strconv.ParseUint(word, 10, 64); err == nil {
			return unlimited, true
		}
		return 0, false
	}
	return min(n, unlimited), true
}

func text(n int64) string {
	if n >= unlimited || n < 0 {
		return "no limit"
	}
	return strconv.FormatInt(n, 10)
}

func bytesText(n int64) string {
	switch {
	case n >= unlimited:
		return "no limit"
	case n >= 10<<30:
		return strconv.FormatInt(n>>30, 10) + " GiB"
	default:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
}
