// The log of histograms is read by the reader of its library.

package report

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"c100k/loadgen"
)

// processVariable makes the test binary a process of a run.
const processVariable = "REPORT_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		if loadgen.ServeProcess(context.Background(), os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestHDR makes a real run of a second, because only real runs have histograms.
func TestHDR(t *testing.T) {
	t.Setenv(processVariable, "on")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			message, op, err := wsutil.ReadClientData(conn)
			if err != nil || wsutil.WriteServerMessage(conn, op, message) != nil {
				return
			}
		}
	}))
	defer server.Close()
	o := loadgen.DefaultOptions()
	o.URL, o.Conns, o.Rate, o.For, o.Command = "ws"+strings.TrimPrefix(server.URL, "http")+"/echo", 5, 50, time.Second, []string{os.Args[0]}
	run, err := loadgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := run.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := New(result, nil).WriteHDR(&out); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for reader := hdrhistogram.NewHistogramLogReader(&out); ; {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		counts[h.Tag()] += h.TotalCount()
	}
	if counts["connect"] != result.Connect.Count || counts["latency"] != result.Echo.Count || result.Echo.Count == 0 {
		t.Errorf("the log has %v, the result %d connects and %d echoes", counts, result.Connect.Count, result.Echo.Count)
	}
}
