package main

// client.go: runs of the load client, bench/floor/client.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// quantiles are latencies in microseconds.
type quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// clientResult is the line that the client prints at its end.
type clientResult struct {
	Mode       string  `json:"mode"`
	IO         string  `json:"io"`
	Open       int     `json:"open"`
	Size       int     `json:"size"`
	Inflight   int     `json:"inflight"`
	Burst      int     `json:"burst"`
	Seconds    float64 `json:"seconds"`
	Ops        int64   `json:"ops"`
	Echoes     int64   `json:"echoes"`
	Deliveries int64   `json:"deliveries"`
	Handshakes int64   `json:"handshakes"`
	Rounds     int64   `json:"rounds"`

	OpsPerSecond  float64 `json:"ops_per_second"`
	ClientBusy    float64 `json:"client_busy"` // share of one core
	ServerCPU     int64   `json:"server_cpu_ns"`
	ServerBusy    float64 `json:"server_busy"`
	ServerUsPerOp float64 `json:"server_us_per_op"`

	Echo    *quantiles `json:"echo_us,omitempty"`
	Deliver *quantiles `json:"deliver_us,omitempty"`
	Spread  *quantiles `json:"spread_us,omitempty"`

	Lost       int64  `json:"lost"`
	Duplicated int64  `json:"duplicated"`
	Corrupt    int64  `json:"corrupt"`
	Closed     int64  `json:"closed"`
	Refused    int64  `json:"refused"`
	Overruns   int64  `json:"overruns"` // messages of the open schedule that were not sent: too many were on the way
	Skipped    int64  `json:"skipped"`  // fan-outs that were not begun, for the same reason
	Pings      int64  `json:"pings"`
	Error      string `json:"error,omitempty"`
}

// clientBinary runs the load client.
type clientBinary struct {
	path string
	core int // -1: anywhere
	nice int
}

func (b clientBinary) command(s *server, args []string) *exec.Cmd {
	all := append([]string{"--port", strconv.Itoa(s.port), "--pid", strconv.Itoa(s.pid())}, args...)
	return exec.Command(b.path, all...)
}

// run runs the client to its end. A message lost, doubled or changed, or a connection lost, is an error.
func (b clientBinary) run(s *server, args ...string) (*clientResult, error) {
	cmd := b.command(s, args)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := startOn(cmd, b.core, b.nice); err != nil {
		return nil, fmt.Errorf("start the client: %w", err)
	}
	ended := cmd.Wait()
	r, err := parseResult(stdout.Bytes())
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", strings.Join(args, " "), errors.Join(ended, err, errors.New(stderr.String())))
	}
	if r.Error != "" {
		return r, fmt.Errorf("client %s: %s; %s%s", strings.Join(args, " "), r.Error, bytes.TrimSpace(stdout.Bytes()), stderr.String())
	}
	return r, ended
}

func parseResult(stdout []byte) (*clientResult, error) {
	lines := bytes.Split(bytes.TrimSpace(stdout), []byte("\n"))
	r := new(clientResult)
	if err := json.Unmarshal(lines[len(lines)-1], r); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return r, nil
}

// hold is a client in idle mode: connections that are open until release.
type hold struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
	err   *bytes.Buffer
}

// hold opens n connections and returns when all handshakes are done.
func (b clientBinary) hold(s *server, path string, n int) (*hold, error) {
	h := &hold{cmd: b.command(s, []string{"--mode", "idle", "--path", path, "--conns", strconv.Itoa(n), "--seconds", "0"}), err: new(bytes.Buffer)}
	var err error
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.out = bufio.NewReader(stdout)
	h.cmd.Stderr = h.err
	if err := startOn(h.cmd, b.core, b.nice); err != nil {
		return nil, fmt.Errorf("start the client: %w", err)
	}
	line, err := h.out.ReadString('\n')
	if err == nil && strings.Contains(line, `"ready":true`) {
		return h, nil
	}
	h.stdin.Close()
	h.cmd.Wait() // the line and stderr say more
	return nil, fmt.Errorf("hold %d connections: %s%s", n, line, h.err)
}

// release closes the connections and returns the client's report.
func (h *hold) release() (*clientResult, error) {
	h.stdin.Close()
	line, readErr := h.out.ReadBytes('\n')
	waitErr := h.cmd.Wait()
	if readErr != nil {
		return nil, errors.Join(readErr, waitErr, errors.New(h.err.String()))
	}
	r, err := parseResult(line)
	if err != nil {
		return nil, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("held connections: %s", r.Error)
	}
	return r, waitErr
}
