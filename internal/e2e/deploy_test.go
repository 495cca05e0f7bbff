// What deploy has for other programs, read by these programs: the example for nginx, the
// configuration of the Compose file, the unit for systemd, the dashboard for Grafana.

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"c100k/internal/figures"
	"c100k/internal/netlab"
)

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// nginxMain is the rest of nginx's configuration. It has the places of the directory and of the
// example.
const nginxMain = `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`

// TestNginxExample: WebSockets and events pass a real nginx with the configuration of deploy/nginx,
// and the node sees the client's address.
func TestNginxExample(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not there: run internal/e2e/setup.sh")
	}
	n := serve(t, "--public-topics", "news", "--trusted-proxies", "127.0.0.1")
	dir, open := t.TempDir(), netlab.KeepPort(t)
	site := strings.NewReplacer("node1:8080", n.public, "server node2:8080", "# server node2:8080",
		"listen 8080", "listen "+open, "listen [::]:8080;", "").Replace(deployed(t, "nginx/c100k.conf"))
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxMain, dir, site), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("nginx", "-t", "-q", "-p", dir, "-c", conf).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	proxy := exec.Command("nginx", "-p", dir, "-c", conf)
	proxy.Stderr = os.Stderr
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Kill() // it has nothing to end
		_ = proxy.Wait()
	})
	n.eventually("nginx listens", func() error {
		p, err := tryDial(open)
		if err == nil {
			p.Close()
		}
		return err
	})
	socket := dial(t, open)
	if err := socket.shakeHands("/ws?topic=news", "X-Forwarded-For: 203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	events := dial(t, open)
	events.send("GET /sse?topic=news HTTP/1.1\r\nHost: node.test\r\nX-Forwarded-For: 203.0.113.8\r\n\r\n")
	stream := events.stream()
	n.awaitSubscribers("news", 2)
	n.publish("news", "hello")
	stream.expectEvent("hello")
	socket.expectText("hello")
	for _, address := range []string{"203.0.113.7", "203.0.113.8"} {
		status, body := n.call("GET", "/v1/connections?address="+address, "", nil)
		if status != http.StatusOK || !strings.Contains(string(body), `"id":`) {
			t.Errorf("no client of %s: %d %s", address, status, body)
		}
	}
}

// TestDeployedSettings: the program takes every configuration file that deploy has for it.
func TestDeployedSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 43)), 0o600); err != nil {
		t.Fatal(err)
	}
	compose := strings.ReplaceAll(deployed(t, "compose/c100k.yaml"), "/run/secrets/api-key", key)
	file := filepath.Join(dir, "c100k.yaml")
	if err := os.WriteFile(file, []byte(compose), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "config", "check", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not there: run internal/e2e/setup.sh")
	}
	prometheus := strings.NewReplacer("/run/secrets/api-key", key, "/etc/prometheus/", "").Replace(deployed(t, "compose/prometheus.yaml"))
	for name, text := range map[string]string{"prometheus.yml": prometheus, "alerts.yaml": deployed(t, "prometheus/alerts.yaml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("promtool", "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// unitExposureMax is in tenths: systemd-analyze calls 1.0 to 4.0 OK; a unit with nothing has 9.6.
const unitExposureMax = "20"

var unitFiles = regexp.MustCompile(`LimitNOFILE=(\d+)`)

// TestUnit: systemd rates the unit OK, and its limit on open files is what a million connections
// need.
func TestUnit(t *testing.T) {
	t.Parallel()
	limit := func(text string) int {
		match := unitFiles.FindStringSubmatch(text)
		if match == nil {
			t.Fatalf("no LimitNOFILE in\n%s", text)
		}
		n, err := strconv.Atoi(match[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// It fails where the machine cannot, and prints what the unit needs.
	advice, _ := exec.Command(binary, "doctor", "--conns", "1000000", "--workers", "1").Output()
	if has, needs := limit(deployed(t, "systemd/c100k.service")), limit(string(advice)); has < needs {
		t.Errorf("LimitNOFILE is %d; c100k doctor wants %d", has, needs)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not there")
	}
	unit := filepath.FromSlash("../../deploy/systemd/c100k.service")
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+unitExposureMax, unit).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

var (
	grouping = regexp.MustCompile(`by \(([a-z, ]+)\)`)
	legend   = regexp.MustCompile(`{{([a-z]+)}}`)
)

// TestGrafana: the dashboard asks for metrics and labels that exist, in expressions that Prometheus
// understands; every panel says what it shows in, and no two have one place.
func TestGrafana(t *testing.T) {
	t.Parallel()
	var board struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			FieldConfig struct{ Defaults struct{ Unit string } }
			Targets     []struct{ Expr, LegendFormat string }
		}
		Templating struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(deployed(t, "grafana/c100k.json")), &board); err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{"c100k_build_info": nil}
	for i := range figures.Table {
		row := &figures.Table[i]
		known[row.Metric] = append([]string{"job", "instance", "le"}, row.Labels...)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	places, ids := map[string]bool{}, map[int]bool{}
	for _, p := range board.Panels {
		place := fmt.Sprint(p.GridPos.X, " ", p.GridPos.Y)
		if places[place] || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s: its place or number is that of another panel, or too far right", p.Title)
		}
		places[place], ids[p.ID] = true, true
		if p.Type != "row" && (p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0) {
			t.Errorf("%s has no unit, or shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				labels, exists := known[strings.TrimSuffix(name, "_bucket")]
				if !exists {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
				for _, group := range grouping.FindAllStringSubmatch(target.Expr, -1) {
					for label := range strings.SplitSeq(group[1], ", ") {
						// A loop's and a worker's own label are those of its table.
						if label != "loop" && !slices.Contains(labels, label) {
							t.Errorf("%s: %s has no label %s", p.Title, name, label)
						}
					}
				}
			}
			for _, label := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, label[1]) {
					t.Errorf("%s: the legend has %s, which %s does not keep", p.Title, label[1], target.Expr)
				}
			}
			expr := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$job", ".*", "$instance", ".*").Replace(target.Expr)
			fmt.Fprintf(&rules, "  - record: panel:n%d\n    expr: %s\n    labels: {n: %q}\n", p.ID, expr, target.LegendFormat)
		}
	}
	if len(board.Panels) < 30 || len(board.Templating.List) != 3 {
		t.Errorf("%d panels, %d variables", len(board.Panels), len(board.Templating.List))
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not there: run internal/e2e/setup.sh")
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
