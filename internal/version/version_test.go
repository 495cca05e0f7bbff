// Tests of the version: linker, module and version control, each with and without the others.

package version

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	const commit, other = "0123456789abcdef0123456789abcdef01234567", "fedcba9876543210fedcba9876543210fedcba98"
	stamped := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: other}}}
	unstamped := &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}
	tests := []struct {
		name, version, revision string
		build                   *debug.BuildInfo
		want                    string
	}{
		{"nothing known", "", "", nil, "c100k devel"},
		{"no stamp", "", "", unstamped, "c100k devel"},
		{"no stamp, linker", "", commit, unstamped, "c100k devel (0123456789ab)"},
		{"stamp", "", "", stamped, "c100k v1.2.3 (fedcba987654, modified)"},
		{"linker wins", "v2.0.0", commit, stamped, "c100k v2.0.0 (0123456789ab)"},
		{"short revision", "", "abc", unstamped, "c100k devel (abc)"},
	}
	for _, test := range tests {
		got := describe(test.version, test.revision, test.build).String()
		if want := test.want + " " + runtime.Version() + " "; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q first", test.name, got, want)
		}
	}
}

func TestGet(t *testing.T) {
	if info := Get(); info.Version == "" || info.Go == "" || info.Platform == "" {
		t.Errorf("%+v", info)
	}
}
