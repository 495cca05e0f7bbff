// Package version says which build this is: from the linker where a Makefile set it, from the
// module's build information otherwise.
package version

import (
	"runtime"
	"runtime/debug"
)

// Set by the linker: -ldflags "-X c100k/internal/version.version=v1.2.3 -X
// c100k/internal/version.revision=…". A build with -buildvcs=false has no other way to know its
// revision.
var (
	version  string
	revision string
)

// Info describes a build.
type Info struct {
	Version  string `json:"version"`            // "v1.2.3", or "devel"
	Revision string `json:"revision,omitempty"` // the commit, 40 hex digits; empty when nothing told
	Modified bool   `json:"modified,omitempty"` // built from a tree that differed from the commit
	Go       string `json:"go"`                 // "go1.26.0"
	Platform string `json:"platform"`           // "linux/amd64"
}

// Get returns what is known about the running binary. Any goroutine.
func Get() Info {
	build, _ := debug.ReadBuildInfo()
	return describe(version, revision, build)
}

// describe prefers the linker's words to the build information; build may be nil.
func describe(version, revision string, build *debug.BuildInfo) Info {
	info := Info{Version: version, Revision: revision, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build != nil {
		if info.Version == "" && build.Main.Version != "(devel)" {
			info.Version = build.Main.Version
		}
		for _, setting := range build.Settings {
			switch {
			case setting.Key == "vcs.revision" && info.Revision == "":
				info.Revision = setting.Value
			case setting.Key == "vcs.modified" && revision == "":
				info.Modified = setting.Value == "true"
			}
		}
	}
	if info.Version == "" {
		info.Version = "devel"
	}
	return info
}

// String is one line for people: "c100k devel (ee0f38c1c08f, modified) go1.26.0 linux/amd64".
func (i Info) String() string {
	text := "c100k " + i.Version
	if i.Revision != "" {
		text += " (" + i.Revision[:min(12, len(i.Revision))]
		if i.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return text + " " + i.Go + " " + i.Platform
}
