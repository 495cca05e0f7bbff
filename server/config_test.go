// Tests of the configuration: defaults, every refused value, and the API key file.

package server

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"c100k/socketio"
)

func TestZeroConfigIsValid(t *testing.T) {
	for name, c := range map[string]Config{"zero": {}, "defaults": Defaults(), "filled": Defaults().WithDefaults()} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithDefaults(t *testing.T) {
	c := Config{}.WithDefaults()
	if c.Listen != ":8080" || c.Admin != "" || c.DemoEndpoints || c.Outbox != 1<<20 || c.Loops < 1 || c.MaxConns < 1 || c.RateBurst != 0 {
		t.Errorf("zero: %+v", c)
	}
	c = Config{Dev: true, Rate: 20, MaxMessage: 4 << 20}.WithDefaults()
	if c.Listen != "127.0.0.1:8080" || !c.DemoEndpoints || c.RateBurst != 20 || c.Outbox != 4<<20 {
		t.Errorf("dev: %+v", c)
	}
	c = Config{Rate: 0.5, Listen: ":1", Dev: true, Drain: Off, PingInterval: Off}.WithDefaults()
	if c.RateBurst != 1 || c.Listen != ":1" || c.Drain != Off || c.PingInterval != Off {
		t.Errorf("given values must stay: %+v", c)
	}
	if got := Defaults(); got.Admin != "127.0.0.1:9100" || got.Listen != "" || got.MaxConns != 0 {
		t.Errorf("Defaults: %+v", got)
	}
}

func make257() []string { return slices.Repeat([]string{"a"}, 257) }

func TestValidateRefuses(t *testing.T) {
	tests := []struct {
		field, want string // the error must begin with the field and contain want
		config      Config
	}{
		{"Workers", "is 65; allowed are 1 to 64, or auto", Config{Workers: 65}},
		{"Workers", "is -2;", Config{Workers: -2}},
		{"Loops", "is 13; allowed are 256 over all 20 workers", Config{Workers: 20, Loops: 13}},
		{"Bus", `is "redis://:xxxxx@h/x"; the database is not a number`, Config{Bus: "redis://:secret@h/x"}},
		{"Bus", `is "redis-sentinel://h"; the name of the master is missing`, Config{Bus: "redis-sentinel://h"}},
		{"BusCreds", "they are for NATS", Config{Bus: "redis://h", BusCreds: "file"}},
		{"Bus", `is "nats://:xxxxx@h"; no user stands before the @: allowed are`, Config{Bus: "nats://:secret@h"}},
		{"Bus", `is "kafka://xxxxx@h"; allowed are memory, nats://HOST:PORT`, Config{Bus: "kafka://secret@h"}},
		{"ClusterPeers", "without Cluster", Config{ClusterPeers: []string{"a:1"}}},
		{"ClusterSecretFile", "nobody reads it", Config{ClusterSecretFile: "f"}},
		{"ClusterSecretFile", "all nodes share", Config{Cluster: ":7400"}},
		{"Cluster", "one of the two", Config{Cluster: ":7400", ClusterSecretFile: "f", Bus: "nats://h"}},
		{"Cluster", "not of the form ADDR:PORT", Config{Cluster: "a", ClusterSecretFile: "f"}},
		{"ClusterPeers", `is ":7400"; not of the form HOST:PORT`, Config{Cluster: ":7400", ClusterSecretFile: "f", ClusterPeers: []string{":7400"}}},
		{"HistoryDir", "its copy", Config{Cluster: ":7400", ClusterSecretFile: "f", History: []string{"a=10,1m"}}},
		{"ClusterPeers", "no cluster", Config{Cluster: ":7400", ClusterSecretFile: "f", History: []string{"a=10,1m"}, HistoryDir: "d"}},
		{"Bus", `is "nats://h/x"; something stands behind the port`, Config{Bus: "nats://h/x"}},
		{"Bus", `is "(not a URL)"; not a URL`, Config{Bus: "nats://secret@[h"}},
		{"SocketIOAdapter", `is "mongo"; allowed are bus, redis, redis-sharded`, Config{SocketIOAdapter: "mongo"}},
		{"SocketIORedis", `is empty; with SocketIOAdapter redis it must say where Redis is`, Config{SocketIOAdapter: "redis"}},
		{"SocketIORedis", `is "redis-sentinel://u:xxxxx@h"; the name of the master is missing`, Config{SocketIOAdapter: "redis", SocketIORedis: "redis-sentinel://u:p@h"}},
		{"Advertise", `is "10.0.0.7"; allowed are HOST:PORT`, Config{Advertise: "10.0.0.7", Bus: "nats://h:1"}},
		{"Advertise", `is "10.0.0.7:80"; there is no Bus or Cluster`, Config{Advertise: "10.0.0.7:80"}},
		{"SocketIORedis", `is "redis://h"; SocketIOAdapter is bus`, Config{SocketIORedis: "redis://h"}},
		{"SocketIOAdapter", `is "redis"; NoSocketIO is set`, Config{NoSocketIO: true, SocketIOAdapter: "redis", SocketIORedis: "redis://h"}},
		{"NoSocketIO", "is true; SocketIO is set", Config{NoSocketIO: true, SocketIO: new(socketio.Server)}},
		{"SocketIOV2", "is true; with SocketIO, its own", Config{SocketIOV2: true, SocketIO: new(socketio.Server)}},
		{"TLSKeys", "is 1 keys; each of the 2 certificates needs its key", Config{TLSCerts: []string{"a", "b"}, TLSKeys: []string{"a"}}},
		{"TLSKeys", "is 1 keys; each of the 0", Config{TLSKeys: []string{"a"}}},
		{"TLSCerts", "is 257 certificates; allowed are 256", Config{TLSCerts: make257(), TLSKeys: make257()}},
		{"TLSCerts", `is ""; allowed is the path`, Config{TLSCerts: []string{""}, TLSKeys: []string{"a"}}},
		{"TLSMin", `is "1.1"; allowed are 1.2, 1.3`, Config{TLSMin: "1.1"}},
		{"TLSClientAuth", `is "yes"; allowed are off, optional, require`, Config{TLSClientAuth: "yes", TLSClientCA: "ca", DevTLS: true, Dev: true}},
		{"TLSClientAuth", `is "off"; with TLSClientCA`, Config{TLSClientCA: "ca", DevTLS: true, Dev: true}},
		{"TLSClientCA", `is ""; client certificates are judged by it`, Config{TLSClientAuth: "require", DevTLS: true, Dev: true}},
		{"TLSTicketKeys", `is "k"; the public port is plain`, Config{TLSTicketKeys: "k"}},
		{"HTTPRedirect", `is ":80"; the public port is plain`, Config{HTTPRedirect: ":80"}},
		{"HTTPRedirect", `is "x"; allowed is HOST:PORT`, Config{HTTPRedirect: "x", DevTLS: true, Dev: true}},
		{"HTTPRedirect", `is ":80"; another port has this address`, Config{HTTPRedirect: ":80", Listen: ":80", DevTLS: true, Dev: true}},
		{"DevTLS", "is true; a certificate that nobody can verify", Config{DevTLS: true}},
		{"DevTLS", "is true; certificates are given as well", Config{DevTLS: true, Dev: true, TLSCerts: []string{"a"}, TLSKeys: []string{"a"}}},
		{"ACMEEmail", `is "a@b"; it means nothing`, Config{ACMEEmail: "a@b"}},
		{"ACMEEmail", `is "ops"; allowed is an address`, Config{ACME: []string{"a.example"}, ACMEStorage: "d", ACMEEmail: "ops"}},
		{"ACMEStorage", `is ""; certificates must outlive`, Config{ACME: []string{"a.example"}}},
		{"ACME", `is "*.a.example"; a wildcard needs`, Config{ACME: []string{"*.a.example"}, ACMEStorage: "d"}},
		{"ACME", `is "10.0.0.1"; it is no domain name`, Config{ACME: []string{"10.0.0.1"}, ACMEStorage: "d"}},
		{"ACME", `is "A.example"; names are in lower case`, Config{ACME: []string{"A.example"}, ACMEStorage: "d"}},
		{"ACME", `is "a.example"; it is there twice`, Config{ACME: []string{"a.example", "a.example"}, ACMEStorage: "d"}},
		{"ACME", `is "a.example"; on a Unix socket`, Config{ACME: []string{"a.example"}, ACMEStorage: "d", Listen: "unix:/tmp/x"}},
		{"ACMEDirectory", `is "http://ca.example/dir"; allowed is a URL`, Config{ACME: []string{"a.example"}, ACMEStorage: "d", ACMEDirectory: "http://ca.example/dir"}},
		{"AdminTLSKey", `is ""; a certificate and its key`, Config{Admin: ":1", AdminTLSCert: "a"}},
		{"AdminTLSCert", `is "a"; there is no admin port`, Config{AdminTLSCert: "a", AdminTLSKey: "a"}},
		{"Loops", "is 257; allowed are 0 to 256", Config{Loops: 257}},
		{"Loops", "is -1;", Config{Loops: -1}},
		{"MaxConns", "is 16777217; allowed are 0 to 16777216", Config{MaxConns: 1<<24 + 1}},
		{"MaxConnsPerIP", "is -1;", Config{MaxConnsPerIP: -1}},
		{"MaxMessage", "is -1; allowed are 1 to 1073741824 bytes", Config{MaxMessage: -1}},
		{"MaxMessage", "is 1073741825;", Config{MaxMessage: 1<<30 + 1}},
		{"Outbox", "is 1000; allowed are 65536 to", Config{Outbox: 1000}},
		{"Outbox", "is 1048576; allowed are 2097152 to", Config{Outbox: 1 << 20, MaxMessage: 2 << 20}},
		{"Rate", "is -1; allowed are 0 (no limit)", Config{Rate: -1}},
		{"Rate", "is NaN", Config{Rate: math.NaN()}},
		{"RateBurst", "is 5; a burst needs a rate", Config{RateBurst: 5}},
		{"HandshakeTimeout", "is 1ms; allowed are 100ms to 24h", Config{HandshakeTimeout: time.Millisecond}},
		{"HandshakeTimeout", "is -1ns", Config{HandshakeTimeout: Off}},
		{"PingInterval", "is 25h0m0s", Config{PingInterval: 25 * time.Hour}},
		{"PingTimeout", "is 10ns", Config{PingTimeout: 10}},
		{"Drain", "is 48h0m0s; allowed are 0s to 24h", Config{Drain: 48 * time.Hour}},
		{"SlowConsumer", `is "drop"; allowed are disconnect, drop-oldest, drop-newest`, Config{SlowConsumer: "drop"}},
		{"IO", `is "epoll"; allowed are auto, uring, syscall`, Config{IO: "epoll"}},
		{"PublicTopics", `is ""; not a pattern: it is empty`, Config{PublicTopics: []string{"a", ""}}},
		{"PublicTopics", `is "a\n"`, Config{PublicTopics: []string{"a\n"}}},
		{"PublicTopics", "not a pattern: it has 256 bytes", Config{PublicTopics: []string{strings.Repeat("a", 256)}}},
		{"TokenJWKS", "allowed is an http or https URL", Config{TokenJWKS: "ftp://h/x"}},
		{"TokenLeeway", "is 1h0m0s; allowed are 0s to 10m0s", Config{TokenLeeway: time.Hour}},
		{"TokenCookie", "the name of a cookie", Config{TokenCookie: "a b"}},
		{"TokenIssuers", "an empty value is none", Config{TokenIssuers: []string{""}}},
		{"RequireToken", "nobody could have a valid token", Config{RequireToken: true}},
		{"PublicTopics", `is "a*"; not a pattern: * stands for one whole level`, Config{PublicTopics: []string{"a*"}}},
		{"PublicTopics", `{sub} in "user.{sub}" is the subject of a token`, Config{PublicTopics: []string{"user.{sub}"}}},
		{"PublicTopics", `is "\xff"`, Config{PublicTopics: []string{"\xff"}}},
		{"Listen", `is "8080"; allowed is HOST:PORT`, Config{Listen: "8080"}},
		{"Listen", `is ":65536"`, Config{Listen: ":65536"}},
		{"Admin", `is "localhost"`, Config{Admin: "localhost"}},
		{"Admin", "it is the public address too", Config{Listen: ":80", Admin: ":80"}},
		{"Origins", `is "https://a/b"; an origin ends with its host and port`, Config{Origins: []string{"https://a/b"}}},
		{"Origins", `is ""; the host is missing: allowed are *, https://example.com`, Config{Origins: []string{""}}},
		{"Origins", `is "https://u:p@a"`, Config{Origins: []string{"https://u:p@a"}}},
		{"Upstream", `is "127.0.0.1:3000"; allowed is a URL`, Config{Upstream: "127.0.0.1:3000"}},
		{"Upstream", `is "ftp://a"`, Config{Upstream: "ftp://a"}},
		{"Upstream", `is "http://"`, Config{Upstream: "http://"}},
		{"Static", "already go to the upstream", Config{Upstream: "http://a", Static: "."}},
		{"Handler", "one of them", Config{Static: ".", Handler: http.NotFoundHandler()}},
		{"APIKey", "is 5 characters long; allowed are 8 to 1024", Config{APIKey: "short"}},
		{"APIKey", "is 10 characters long", Config{APIKey: "with space"}},
		{"APIKeyFile", "one of the two", Config{APIKey: "long-enough", APIKeyFile: "/f"}},
	}
	for _, test := range tests {
		err := test.config.Validate()
		var field *FieldError
		if !errors.As(err, &field) {
			t.Errorf("%s %q: accepted (%v)", test.field, test.want, err)
			continue
		}
		if field.Field != test.field || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %q, want field %s and %q", err, test.field, test.want)
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "with space") {
			t.Errorf("%s: %q tells a secret", test.field, err)
		}
	}
}

func TestValidateNamesRealFields(t *testing.T) {
	bad := Config{Workers: 99, Loops: -1, Rate: -1, IO: "x", Bus: "x", Listen: "x", Drain: -5}
	joined, ok := bad.Validate().(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 7 {
		t.Fatalf("want all 7 errors at once, got: %v", bad.Validate())
	}
	for _, err := range joined.Unwrap() {
		var field *FieldError
		if !errors.As(err, &field) {
			t.Fatalf("%v is not a FieldError", err)
		}
		if _, there := reflect.TypeFor[Config]().FieldByName(field.Field); !there {
			t.Errorf("Config has no field %s", field.Field)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	for i, c := range []Config{
		{Listen: "[::1]:0", Admin: "[::1]:0"},
		{Origins: []string{"*", "https://example.com", "http://localhost:3000", "example.com", "example.com:8443", "*.example.com", "http://localhost:*", "same-host", "null"}},
		{PublicTopics: []string{"news", "chat.*", "ü"}, Upstream: "https://user:pass@host:1/base"},
		{Drain: Off, PingInterval: Off, Rate: 0.1, RateBurst: 3, APIKey: "12345678"},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestFitsMachine(t *testing.T) {
	ok := Config{MaxConns: 1}
	if err := ok.FitsMachine(); err != nil {
		t.Error(err)
	}
	tooMany := Config{MaxConns: OpenFiles() + 1}
	if err := tooMany.FitsMachine(); err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("got %v", err)
	}
}

func TestReadAPIKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	c := Config{APIKeyFile: path}
	if _, err := c.ReadAPIKey(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	for content, want := range map[string]string{"s3cret-key\n": "s3cret-key", "short\n": "", "": "", "two words here": ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := c.ReadAPIKey()
		if key != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", content, key, err)
		}
	}
	if key, err := (&Config{APIKey: "abcdefgh"}).ReadAPIKey(); key != "abcdefgh" || err != nil {
		t.Errorf("%q, %v", key, err)
	}
}
