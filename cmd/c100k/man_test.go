// Tests of manual pages and completions: man(1) and bash(1) take them.

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"c100k/internal/settings"
)

// asProgram is the variable that has this test be the program.
const asProgram = "C100K_TEST_IS_PROGRAM"

// manPages writes all pages and returns their paths.
func manPages(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	if code, _, errors := newProgram("man", "--dir", dir).exec(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, errors)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man[15]", "*.[15]"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%v, %v", pages, err)
	}
	return pages
}

// TestManPages: man(1) renders every page without a warning, and what it shows is what help says.
func TestManPages(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}
	for _, path := range manPages(t) {
		cmd := exec.Command("groff", "-man", "-Tutf8", "-ww", "-rLL=200n", "-P-cbou", path)
		var warnings strings.Builder
		cmd.Stderr = &warnings
		shown, err := cmd.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(path), err, warnings.String())
		}
		if filepath.Base(path) != "c100k-serve.1" {
			continue
		}
		words := strings.Join(strings.Fields(string(shown)), " ")
		for _, flag := range settings.HelpOf("serve") {
			for _, want := range []string{flag.Flag, flag.Help, flag.Facts} {
				if !strings.Contains(words, want) {
					t.Errorf("c100k-serve(1) does not show %q", want)
				}
			}
		}
	}
}

func TestManNamesAPage(t *testing.T) {
	for args, want := range map[string]string{
		"":             `.TH C100K 1`,
		"serve":        `.TH C100K\-SERVE 1`,
		"config check": `.TH C100K\-CONFIG\-CHECK 1`,
		"c100k.yaml":   `.TH C100K.YAML 5`,
	} {
		if code, out, errors := newProgram(append([]string{"man"}, strings.Fields(args)...)...).exec(t); code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("man %s: %d, %.60q %s", args, code, out, errors)
		}
	}
	for args, want := range map[string]string{
		"serv":             `unknown command "serv"; did you mean c100k serve?`,
		"serve that":       `unknown command "serve that"`,
		"help":             `unknown command "help"`,
		"--dir /tmp serve": `--dir writes every page: "serve" is too much`,
	} {
		if code, _, errors := newProgram(append([]string{"man"}, strings.Fields(args)...)...).exec(t); code != exitUsage || !strings.Contains(errors, want) {
			t.Errorf("man %s: %d, %s", args, code, errors)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		".so /etc/passwd":  `\&.so /etc/passwd`,
		"'news.>' --x \\n": `\(aqnews.>\(aq \-\-x \en`,
		"a\u00b5s\u2026":   `a\[u00B5]s\[u2026]`,
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// bashCompletes is a bash that has the completions of c100k, and prints what it offers for a line.
const bashCompletes = `
. /usr/share/bash-completion/bash_completion
. "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=63 COMP_KEY=9
read -ra COMP_WORDS <<<"$2"
case $2 in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p c100k >/dev/null || exit 1
__start_c100k
printf '%s\n' "${COMPREPLY[@]}"
`

// TestBashCompletes has a real bash complete real lines with the real program.
func TestBashCompletes(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); err != nil {
		t.Skip("bash-completion is not installed")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "c100k")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// This test is the program: see TestMain.
	if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec %s \"$@\"\n", asProgram, self), 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := exec.Command(program, "completion", "bash").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "completion")
	if err := os.WriteFile(file, script, 0o644); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"c100k ser":                        "serve",
		"c100k config ":                    "check",
		"c100k completion ":                "fish",
		"c100k serve --slow-consumer drop": "drop-oldest",
		"c100k serve --max-conns-per-":     "--max-conns-per-ip",
	} {
		cmd := exec.Command("bash", "--norc", "-c", bashCompletes, "bash", file, line)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %q; want %s", line, err, out, want)
		}
	}
}
