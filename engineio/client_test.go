package engineio

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// script echoes text and bytes over each transport with npm engine.io-client.
const script = `
import { Socket } from 'engine.io-client';
for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  const s = new Socket(process.argv[1], { transports, path: '/engine.io/' });
  s.binaryType = 'nodebuffer';
  const got = [], waiters = [];
  s.on('message', m => { const w = waiters.shift(); w ? w(m) : got.push(m); });
  const next = () => got.length ? Promise.resolve(got.shift()) : new Promise(done => waiters.push(done));
  await new Promise((yes, no) => { s.on('open', yes); s.on('error', no); });
  if (transports.length > 1) await new Promise(done => s.on('upgrade', done));
  s.send('text €'); s.send(Buffer.from([0, 255]));
  const text = await next(), data = await next();
  console.log(s.transport.name, text, Buffer.from(data).toString('hex'));
  s.close();
}
`

func TestStockClient(t *testing.T) {
	const packages = "../internal/e2e/node"
	if _, err := os.Stat(packages + "/node_modules/engine.io-client"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	_, url := echo(t, Options{})
	run := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", script, strings.TrimSuffix(url, "/engine.io/"))
	run.Dir = packages
	out, err := run.CombinedOutput()
	const want = "polling text € 00ff\nwebsocket text € 00ff\nwebsocket text € 00ff\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}
