package e2e

import (
	"encoding/json"
	"net/url"
	"testing"
)

// TestPollWithCurl: a shell loop with curl gets each message once, in the clear and over TLS.
func TestPollWithCurl(t *testing.T) {
	for scheme, args := range map[string][]string{"http": nil, "https": {"--dev-tls"}} {
		t.Run(scheme, func(t *testing.T) {
			n := serve(t, append(args, "--dev", "--history", "h.>=10,1m")...)
			base := scheme + "://" + n.public + "/poll?topic=h.a&topic=h.b"
			after := ""
			poll := func(want string) {
				t.Helper()
				status, kind, body := curl(t, "-k", base+after)
				var a struct {
					Messages []struct{ Topic, Data string }
					After    string
					Reset    []any
				}
				if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || kind != "application/json" || a.Reset != nil {
					t.Fatalf("%d %s %s: %v", status, kind, body, err)
				}
				got := ""
				for _, m := range a.Messages {
					got += m.Topic + "=" + m.Data + " "
				}
				if got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				after = "&after=" + url.QueryEscape(a.After)
			}
			base += "&wait=0"
			poll("")
			base = base[:len(base)-len("&wait=0")]
			for _, topic := range []string{"h.a", "h.b", "h.a"} {
				for i := range 2 {
					status, _, body := curl(t, "-d", string(rune('0'+i)), "http://"+n.admin+"/v1/topics/"+topic)
					if status != 200 {
						t.Fatal(body)
					}
				}
				poll(topic + "=0 " + topic + "=1 ")
			}
		})
	}
}
