// Tests of a node on ports that were opened for it.

package server

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
)

func TestPorts(t *testing.T) {
	open := func(network, address string) net.Listener {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		ln, err := lc.Listen(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		return ln
	}
	ports := &Ports{Public: open("tcp", "127.0.0.1:0"), Admin: open("tcp", "127.0.0.1:0")}
	c := Config{PublicTopics: []string{">"}}
	ports.Use(&c)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe(t.Context()) }()
	for url, want := range map[string]int{
		"http://" + ports.Public.Addr().String() + "/none":   404,
		"http://" + ports.Admin.Addr().String() + "/healthz": 200,
	} {
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s", url, res.Status)
		}
	}
	if s.Addr().String() != c.Listen || s.AdminAddr().String() != c.Admin || s.Stuck() != nil {
		t.Errorf("%s, %s, %v", s.Addr(), s.AdminAddr(), s.Stuck())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}

	path := filepath.Join(shortDir(t), "s")
	(&Ports{Public: open("unix", path)}).Use(&c)
	if c.Listen != "unix:"+path || !c.isUnix() || c.Admin == "" {
		t.Errorf("listen %s, admin %s", c.Listen, c.Admin)
	}
	c.Workers = 2
	var field *FieldError
	full := c.WithDefaults()
	if err := full.Validate(); !errors.As(err, &field) || field.Field != "Workers" {
		t.Error(err)
	}
}
