// The alerts of deploy/prometheus: checked and tested by promtool, on metrics that exist.

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"c100k/internal/figures"
)

var metricName = regexp.MustCompile(`\bc100k_[a-z_0-9]+`)

func TestAlerts(t *testing.T) {
	t.Parallel()
	dir := filepath.FromSlash("../../deploy/prometheus")
	text, err := os.ReadFile(filepath.Join(dir, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for i := range figures.Table {
		known[figures.Table[i].Metric] = true
	}
	for _, name := range metricName.FindAllString(string(text), -1) {
		if !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("there is no metric %s", name)
		}
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not there: run internal/e2e/setup.sh")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
