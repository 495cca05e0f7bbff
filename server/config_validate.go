// Validation of a Config: what each field may be, said with the field, what was given and what is
// allowed.

package server

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"c100k/internal/auth"
	"c100k/internal/bus/dial"
	"c100k/internal/edge"
	"c100k/internal/history"
)

// FieldError is one field of a Config with a value it cannot have.
type FieldError struct {
	Field   string // its name in Config
	Given   string // the value, in the form a person would write; never a secret
	Allowed string // what it may be
}

// Error implements error.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s is %s; %s", e.Field, e.Given, e.Allowed)
}

// SettingError says which field of a Config names what New cannot use: a file, an address, a
// pattern.
type SettingError struct {
	Field string // its name in Config
	Err   error
}

// Error implements error.
func (e *SettingError) Error() string { return "field " + e.Field + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *SettingError) Unwrap() error { return e.Err }

// Validate says everything that is wrong with the configuration: an errors.Join of *FieldError, or
// nil. Zero fields are defaults and therefore right. It looks at nothing but the values;
// FitsMachine asks the machine.
func (c *Config) Validate() error {
	full := *c
	full.fill()
	v := validator{}
	full.validateNumbers(&v)
	full.validateTimes(&v)
	full.validateWords(&v)
	full.validateHTTP(&v)
	full.validateTLS(&v)
	full.validateKey(&v)
	full.validateTokens(&v)
	full.validateHooks(&v)
	return errors.Join(v.errs...)
}

// FitsMachine says whether this process can hold what the configuration asks of it: a *FieldError,
// or nil.
func (c *Config) FitsMachine() error {
	allowed := connsAllowed()
	workers := max(1, c.Workers)
	if c.MaxConns <= allowed*workers {
		return nil
	}
	processes := "this process may open"
	if workers > 1 {
		processes = fmt.Sprintf("each of the %d workers may open", workers)
	}
	more := ""
	if enough := workersFor(c.MaxConns, allowed); c.MaxConns <= allowed*enough {
		more = fmt.Sprintf("take %d workers, ", enough)
	}
	return &FieldError{Field: "MaxConns", Given: strconv.Itoa(c.MaxConns), Allowed: fmt.Sprintf(
		"%s %d files, which is %d connections (%d are kept for other uses): raise the limit to %d with ulimit -n or LimitNOFILE=, %sor leave it out",
		processes, OpenFiles(), allowed, reservedFiles, (c.MaxConns+workers-1)/workers+reservedFiles, more)}
}

type validator struct{ errs []error }

func (v *validator) refuse(field, given, allowed string) {
	v.errs = append(v.errs, &FieldError{Field: field, Given: given, Allowed: allowed})
}

func (v *validator) between(field string, given, low, high int, unit string) {
	if given < low || given > high {
		v.refuse(field, strconv.Itoa(given), fmt.Sprintf("allowed are %d to %d%s", low, high, unit))
	}
}

func (v *validator) oneOf(field, given string, allowed ...string) {
	for _, a := range allowed {
		if given == a {
			return
		}
	}
	v.refuse(field, strconv.Quote(given), "allowed are "+strings.Join(allowed, ", "))
}

func (c *Config) validateNumbers(v *validator) {
	c.validateWorkers(v)
	v.between("Loops", c.Loops, 0, loopsMax, " (0: the cores)")
	v.between("MaxConns", c.MaxConns, 0, connsMax, " (0: what the limits allow)")
	v.between("MaxConnsPerIP", c.MaxConnsPerIP, 0, connsMax, " (0: no limit)")
	v.between("MaxConnsPerUser", c.MaxConnsPerUser, 0, connsMax, " (0: no limit)")
	if r := c.ConnRatePerIP; r != 0 && !(r >= connRateMin && r <= connRateMax) {
		v.refuse("ConnRatePerIP", strconv.FormatFloat(r, 'g', -1, 64), "allowed are 0.01 to 1000000 connections a second, or 0 for no limit")
	}
	v.between("MaxHead", c.MaxHead, maxHeadMin, maxHeadMax, " bytes")
	v.between("MaxRequests", c.MaxRequests, 1, connsMax, " requests")
	v.between("MaxMessage", c.MaxMessage, 1, maxMessageMax, " bytes")
	if c.Outbox != 0 {
		v.between("Outbox", c.Outbox, max(1, c.MaxMessage), outboxMax, " bytes (it has to take one message of the largest size)")
	}
	if c.Memory != 0 {
		v.between("Memory", c.Memory, memoryMin, memoryMax, " bytes")
	}
	if !(c.Rate >= 0 && c.Rate <= 1e9) { // also refuses NaN
		v.refuse("Rate", strconv.FormatFloat(c.Rate, 'g', -1, 64), "allowed are 0 (no limit) to 1e9 messages a second")
	}
	v.between("ByteRate", c.ByteRate, 0, byteRateMax, " bytes a second (0: no limit)")
	v.between("RateBurst", c.RateBurst, 0, connsMax, " messages (0: one second of the rate)")
	if c.RateBurst > 0 && c.Rate == 0 {
		v.refuse("RateBurst", strconv.Itoa(c.RateBurst), "a burst needs a rate, and the rate is off")
	}
}

func (c *Config) validateTimes(v *validator) {
	within := func(field string, given time.Duration) {
		if given < timeoutMin || given > timeoutMax {
			v.refuse(field, given.String(), fmt.Sprintf("allowed are %v to %v", timeoutMin, timeoutMax))
		}
	}
	within("HandshakeTimeout", c.HandshakeTimeout)
	if c.BodyTimeout != Off {
		within("BodyTimeout", c.BodyTimeout)
	}
	if c.UpstreamTimeout != Off {
		within("UpstreamTimeout", c.UpstreamTimeout)
	}
	within("PingTimeout", c.PingTimeout)
	if c.PingInterval != Off {
		within("PingInterval", c.PingInterval)
	}
	if c.Drain != Off && (c.Drain < 0 || c.Drain > timeoutMax) {
		v.refuse("Drain", c.Drain.String(), fmt.Sprintf("allowed are 0s to %v", timeoutMax))
	}
}

func (c *Config) validateWords(v *validator) {
	v.oneOf("SlowConsumer", c.SlowConsumer, SlowDisconnect, SlowDropOldest, SlowDropNewest)
	v.oneOf("IO", c.IO, IOAuto, IOUring, IOSyscall)
	c.validateBus(v)
	c.validateCluster(v)
	c.validateHistory(v)
	c.validateSocketIO(v)
	c.validateAdapter(v)
	c.validateAdvertise(v)
	for _, pattern := range c.PublicTopics {
		if _, err := auth.ParsePublic(pattern); err != nil {
			v.refuse("PublicTopics", strconv.Quote(pattern), err.Error())
		}
	}
}

func (c *Config) validateHistory(v *validator) {
	if _, err := history.ParseRules(c.History); err != nil {
		v.refuse("History", strings.Join(c.History, " "), err.Error())
	}
	if _, err := presencePatterns(c.Presence); err != nil {
		v.refuse("Presence", strings.Join(c.Presence, " "), err.Error())
	}
	memory := c.Memory
	orDefault(&memory, memoryDefault())
	if c.HistoryBytes != 0 && (c.HistoryBytes < historyBytesMin || c.HistoryBytes > max(memory/2, historyBytesMin)) {
		v.refuse("HistoryBytes", strconv.Itoa(c.HistoryBytes), fmt.Sprintf("allowed are %d bytes to half of the memory of the node, %d", historyBytesMin, memory/2))
	}
	if _, _, err := c.historySync(); err != nil {
		v.refuse("HistorySync", strconv.Quote(c.HistorySync), err.Error())
	}
	switch {
	case c.HistoryDir == "":
	case len(c.History) == 0:
		v.refuse("HistoryDir", strconv.Quote(c.HistoryDir), "nothing is kept without History, which says of which topics")
	case c.Bus != BusMemory:
		v.refuse("HistoryDir", strconv.Quote(c.HistoryDir), "with a bus, its server keeps history in its own directory")
	}
}

// historySync reads HistorySync: the time between two fsyncs, or always.
func (c *Config) historySync() (every time.Duration, always bool, err error) {
	switch c.HistorySync {
	case "always":
		return 0, true, nil
	case "off":
		return historySyncOff, false, nil
	case "":
		return (&Config{HistorySync: historySyncDefault}).historySync()
	}
	every, err = time.ParseDuration(c.HistorySync)
	if err != nil || every < historySyncMin || every > historySyncMax {
		return 0, false, fmt.Errorf("allowed are always, off, and a time from %v to %v", historySyncMin, historySyncMax)
	}
	return every, false, nil
}

func (c *Config) validateBus(v *validator) {
	if c.Bus != BusMemory {
		if err := dial.Check(c.Bus); err != nil {
			v.refuse("Bus", strconv.Quote(dial.Redacted(c.Bus)), err.Error())
		}
	}
	if c.BusCreds != "" && (c.Bus == BusMemory || dial.Kind(c.Bus) != "nats") {
		v.refuse("BusCreds", strconv.Quote(c.BusCreds), "they are for NATS, and Bus is not: allowed with nats://HOST:PORT and tls://HOST:PORT")
	}
}

// validateSocketIO refuses what a server of the program's own cannot do.
func (c *Config) validateSocketIO(v *validator) {
	if c.SocketIO == nil {
		return
	}
	if c.NoSocketIO {
		v.refuse("NoSocketIO", "true", "SocketIO is set: leave one of them out")
	}
	if c.SocketIOV2 {
		v.refuse("SocketIOV2", "true", "with SocketIO, its own socketio.Options.AllowV3 lets those clients in")
	}
}

func (c *Config) validateHTTP(v *validator) {
	if c.Listen != "" {
		c.validateListen(v)
	}
	if c.Admin != "" {
		v.address("Admin", c.Admin)
	}
	if c.Listen != "" && c.Listen == c.Admin && !strings.HasSuffix(c.Admin, ":0") {
		v.refuse("Admin", strconv.Quote(c.Admin), "it is the public address too, and needs one of its own")
	}
	for _, origin := range c.Origins {
		if _, err := edge.ParseOriginRules([]string{origin}); err != nil {
			if cause := errors.Unwrap(err); cause != nil {
				err = cause // the value is named already
			}
			v.refuse("Origins", strconv.Quote(origin), err.Error()+": allowed are *, https://example.com, *.example.com, same-host")
		}
	}
	for _, host := range c.Hosts {
		if _, err := (edge.HostRules{}).With([]string{host}); err != nil {
			v.refuse("Hosts", strconv.Quote(host), "allowed are names such as example.com or *.example.com, without a port")
		}
	}
	if c.Upstream != "" {
		u, err := url.Parse(c.Upstream)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			v.refuse("Upstream", strconv.Quote(redacted(c.Upstream)), "allowed is a URL such as http://127.0.0.1:3000")
		}
	}
	if c.OTLP != "" {
		u, err := url.Parse(c.OTLP)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			v.refuse("OTLP", strconv.Quote(redacted(c.OTLP)), "allowed is a URL such as http://127.0.0.1:4318")
		}
	}
	if !(c.OTLPSample <= 1) {
		v.refuse("OTLPSample", strconv.FormatFloat(c.OTLPSample, 'g', -1, 64), "allowed are 0 to 1")
	}
	if c.Upstream != "" && c.Static != "" {
		v.refuse("Static", strconv.Quote(c.Static), "other requests already go to the upstream: one of the two")
	}
	if c.Handler != nil && (c.Upstream != "" || c.Static != "") {
		v.refuse("Handler", "set", "other requests already go to the upstream or to static files: one of them")
	}
}

// validateListen judges the public port.
func (c *Config) validateListen(v *validator) {
	if c.Ports != nil && c.Ports.Public != nil && c.Workers != 1 {
		v.refuse("Workers", strconv.Itoa(c.Workers), "several processes cannot share a socket that was opened for them: 1")
		return
	}
	if !c.isUnix() {
		v.address("Listen", c.Listen)
		return
	}
	if _, err := parseUnix(c.Listen); err != nil {
		v.refuse("Listen", strconv.Quote(c.Listen), err.Error()+": allowed is unix:/PATH?mode=0660&owner=NAME&group=NAME")
	}
	if c.Workers != 1 {
		v.refuse("Workers", strconv.Itoa(c.Workers), "several processes cannot share a Unix socket: 1")
	}
}

// address refuses what net.Listen would not understand, without asking a name server.
func (v *validator) address(field, given string) {
	_, port, err := net.SplitHostPort(given)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(port); err == nil && n >= 0 && n <= 65535 {
			return
		}
	}
	v.refuse(field, strconv.Quote(given), "allowed is HOST:PORT with a port of 0 to 65535, such as :8080 or 127.0.0.1:8080")
}

// redacted hides the password of a URL.
func redacted(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}

// Bounds of an API key, in characters: a shorter one is guessed, a longer one does not fit a
// request head.
const (
	apiKeyMin = 8
	apiKeyMax = 1024
)

func (c *Config) validateKey(v *validator) {
	if c.APIKey != "" && !validKey(c.APIKey) {
		v.refuse("APIKey", strconv.Itoa(len(c.APIKey))+" characters long", keyAllowed)
	}
	if c.AdminReadKey != "" && !validKey(c.AdminReadKey) {
		v.refuse("AdminReadKey", strconv.Itoa(len(c.AdminReadKey))+" characters long", keyAllowed)
	}
	if c.AdminReadKey != "" && c.AdminReadKey == c.APIKey {
		v.refuse("AdminReadKey", "the same as APIKey", "a key of its own: it may only read")
	}
	if c.APIKey != "" && c.APIKeyFile != "" {
		v.refuse("APIKeyFile", strconv.Quote(c.APIKeyFile), "a key is given as well: one of the two")
	}
}

// validateTokens judges what says which tokens are believed. It reads no files.
func (c *Config) validateTokens(v *validator) {
	if c.TokenJWKS != "" {
		if err := auth.CheckJWKS(c.TokenJWKS); err != nil {
			v.refuse("TokenJWKS", strconv.Quote(redacted(c.TokenJWKS)), err.Error())
		}
	}
	if c.TokenLeeway != Off && (c.TokenLeeway < 0 || c.TokenLeeway > tokenLeewayMax) {
		v.refuse("TokenLeeway", c.TokenLeeway.String(), fmt.Sprintf("allowed are 0s to %v", tokenLeewayMax))
	}
	if c.TokenCookie != "" && !edge.ValidField(c.TokenCookie, "") {
		v.refuse("TokenCookie", strconv.Quote(c.TokenCookie), "allowed is the name of a cookie: letters, digits, - and _")
	}
	for field, list := range map[string][]string{"TokenIssuers": c.TokenIssuers, "TokenAudiences": c.TokenAudiences, "TokenKeys": c.TokenKeys} {
		for _, value := range list {
			if value == "" {
				v.refuse(field, `""`, "an empty value is none")
			}
		}
	}
	keys := len(c.TokenKeys) > 0 || c.TokenJWKS != ""
	if c.RequireToken && !keys && c.Authenticate == nil && c.HookConnect == "" {
		v.refuse("RequireToken", "true", "nobody could have a valid token: give keys with TokenKeys or TokenJWKS")
	}
}

var keyAllowed = fmt.Sprintf("allowed are %d to %d visible ASCII characters", apiKeyMin, apiKeyMax)

func validKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return len(key) >= apiKeyMin && len(key) <= apiKeyMax
}

// ReadAPIKey returns the API key, from APIKeyFile if that is set (space around it does not count),
// or "" when there is none. Any goroutine; reads a file.
func (c *Config) ReadAPIKey() (string, error) {
	if c.APIKeyFile == "" {
		return c.APIKey, nil
	}
	content, err := os.ReadFile(c.APIKeyFile)
	if err != nil {
		return "", &SettingError{"APIKeyFile", fmt.Errorf("read the API key: %w", err)}
	}
	key := strings.TrimSpace(string(content))
	if !validKey(key) {
		return "", &FieldError{Field: "APIKeyFile", Given: strconv.Quote(c.APIKeyFile),
			Allowed: fmt.Sprintf("its key is %d characters long; %s", len(key), keyAllowed)}
	}
	return key, nil
}
