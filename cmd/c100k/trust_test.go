// pub and sub with addresses that are https: and wss:.

package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPubAndSubOverTLS(t *testing.T) {
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			http.Error(w, "come back", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"matched":3,"queued":3,"dropped":0}`)
	}))
	node.Config.ErrorLog = log.New(io.Discard, "", 0)
	node.StartTLS()
	defer node.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: node.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	https, wss := node.URL, strings.Replace(node.URL, "https", "wss", 1)+"/ws"
	for _, test := range []struct {
		args   []string
		code   int
		output string
	}{
		{[]string{"pub", "a", "x", "--admin-url", https, "--ca", ca}, 0, "matched 3\n"},
		{[]string{"pub", "a", "x", "--admin-url", https, "--insecure"}, 0, "matched 3\n"},
		{[]string{"pub", "a", "x", "--admin-url", https}, 1, "certificate signed by unknown authority"},
		{[]string{"pub", "a", "x", "--admin-url", https, "--ca", "/none"}, 2, "--ca: open /none"},
		{[]string{"pub", "a", "x", "--admin-url", https, "--cert", ca}, 2, "--cert and --key come together"},
		{[]string{"sub", "a", "--url", wss, "--ca", ca}, 1, "come back (HTTP 403)"},
		{[]string{"sub", "a", "--url", wss, "--insecure"}, 1, "come back (HTTP 403)"},
		{[]string{"sub", "a", "--url", wss}, 1, "certificate signed by unknown authority"},
		{[]string{"sub", "a", "--url", wss, "--key", ca}, 2, "--cert and --key come together"},
	} {
		if code, out, errs := newProgram(test.args...).exec(t); code != test.code || !strings.Contains(out+errs, test.output) {
			t.Errorf("%v: exit %d, %s%s; want %d, %q", test.args, code, out, errs, test.code, test.output)
		}
	}
}
