// The charts of the page: uPlot over the data that the page has in it. Drawn anew when the color scheme or the width changes.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  // A phase ends where another begins: between them the lines have a gap.
  const seconds = [];
  for (const s of data.series || []) {
    const last = seconds[seconds.length - 1];
    if (last && last.phase !== s.phase) seconds.push({ at_ms: (last.at_ms + s.at_ms) / 2, phase: s.phase, gap: true });
    seconds.push(s);
  }
  const at = seconds.map((s) => s.at_ms / 1000);
  const of = (get) => seconds.map((s) => { const v = s.gap ? null : get(s); return v === undefined || v === null ? null : v; });

  // Durations as the tables write them, from milliseconds.
  const digits = (f) => (f >= 99.95 ? f.toFixed(0) : f >= 9.995 ? f.toFixed(1) : f.toFixed(2));
  const short = (f) => String(Number(f.toPrecision(3)));
  const time = (ms, write = digits) => {
    if (ms === null || ms === undefined) return "";
    if (ms === 0) return "0";
    if (ms < 1) return write(ms * 1000) + "µs";
    return ms < 1000 ? write(ms) + "ms" : write(ms / 1000) + "s";
  };
  const count = (v) => (v === null || v === undefined ? "" : v >= 100 ? Math.round(v).toLocaleString("en") : short(v));
  const compact = (v) => (v >= 1e6 ? short(v / 1e6) + "M" : v >= 1e3 ? short(v / 1e3) + "k" : short(v));
  const clock = (s) => (s === null ? "" : s.toFixed(0) + "s");

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const axis = (more) => ({ stroke: color("faint"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1 }, font: "12px system-ui, sans-serif", ...more });
  const line = (label, tint, value, more) => ({ label, stroke: color(tint), width: 1.75, value: (u, v) => value(v), points: { show: at.length < 2 }, spanGaps: false, ...more });

  // The phases, as bands with their names: the measured part is what counts, the others are shaded.
  const phaseNames = { connect: "connecting", "warm-up": "warm-up, not counted", measure: "measured" };
  const phases = [];
  for (const s of seconds) {
    const last = phases[phases.length - 1];
    if (!last || last.name !== s.phase) phases.push({ name: s.phase, from: s.at_ms / 1000, to: s.at_ms / 1000 });
    else last.to = s.at_ms / 1000;
  }
  function band(u) {
    const { left, top, width, height } = u.bbox;
    const place = (x) => Math.min(Math.max(u.valToPos(x, "x", true), left), left + width);
    u.ctx.save();
    u.ctx.font = Math.round(11 * devicePixelRatio) + "px system-ui, sans-serif";
    u.ctx.textBaseline = "top";
    phases.forEach((phase, i) => {
      const from = i ? place(phase.from) : left, to = i + 1 < phases.length ? place(phases[i + 1].from) : left + width;
      if (phase.name !== "measure") {
        u.ctx.globalAlpha = 0.5;
        u.ctx.fillStyle = color("line");
        u.ctx.fillRect(from, top, to - from, height);
        u.ctx.globalAlpha = 1;
      }
      const name = phaseNames[phase.name] || phase.name;
      if (u.ctx.measureText(name).width + 8 * devicePixelRatio < to - from) {
        u.ctx.fillStyle = color("faint");
        u.ctx.fillText(name, from + 4 * devicePixelRatio, top + 3 * devicePixelRatio);
      }
    });
    u.ctx.restore();
  }

  const drawn = [];
  function draw(id, options, columns) {
    const element = document.getElementById(id);
    element.textContent = "";
    if (!columns[0].length || !columns.slice(1).some((c) => c.some((v) => v !== null && v !== 0))) {
      const none = document.createElement("p");
      none.className = "none";
      none.textContent = "nothing to show";
      element.append(none);
      return;
    }
    const width = element.clientWidth;
    drawn.push(new uPlot({ width, height: width < 420 ? 200 : 230, padding: [10, 12, 0, 0], cursor: { drag: { x: true, y: false } }, ...options }, columns, element));
  }

  // Logarithmic axes say their decades, and 2 and 5 between them where there are few.
  const decades = (u, vs) => {
    const shown = vs.filter((v) => v !== null);
    const few = shown.length && shown[shown.length - 1] / shown[0] < 300;
    return vs.map((v) => {
      const lead = v === null ? 0 : Number((v / 10 ** Math.floor(Math.log10(v) + 1e-9)).toFixed(3));
      return lead === 1 || (few && (lead === 2 || lead === 5)) ? time(v, short) : "";
    });
  };

  const overTime = (series, write, more) => ({
    scales: { x: { time: false }, y: { range: (u, low, high) => [0, (high || 1) * 1.05] } },
    axes: [axis({ values: (u, vs) => vs.map((v) => v + "s") }), axis({ size: 58, values: (u, vs) => vs.map(write) })],
    series: [{ label: "time since the start", value: (u, v) => clock(v) }, ...series],
    hooks: { drawClear: [band] },
    ...more,
  });

  function rate() {
    if (data.churn) {
      const series = [line("opened", "a", count), line("target", "faint", count, { dash: [5, 4], width: 1.25 })];
      draw("rate", overTime(series, compact), [at, of((s) => s.opened_a_second), of((s) => s.target || null)]);
      return;
    }
    const series = [line("received", "a", count), line("sent", "b", count), line("target", "faint", count, { dash: [5, 4], width: 1.25 })];
    const options = overTime(series, compact);
    if (data.publisher) {
      // One publish is received by thousands: what is published has an axis of its own.
      series[1].label = "published (right)";
      series[1].scale = series[2].scale = "published";
      options.scales.published = options.scales.y;
      options.axes.push(axis({ scale: "published", side: 1, size: 50, grid: { show: false }, values: (u, vs) => vs.map(compact) }));
    }
    draw("rate", options, [at, of((s) => s.received_a_second), of((s) => s.sent_a_second), of((s) => s.target || null)]);
  }

  function latency() {
    const brief = (s) => (data.connects ? s.connect : s.latency);
    // A decade apart is where latencies differ: the axis is logarithmic.
    draw("latency", {
      ...overTime([line("p50", "c", time), line("p90", "a", time), line("p99", "b", time), line("max", "bad", time, { width: 1 })], time),
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [axis({ values: (u, vs) => vs.map((v) => v + "s") }), axis({ size: 58, filter: (u, vs) => vs, values: decades })],
    }, [at, ...["p50_ms", "p90_ms", "p99_ms", "max_ms"].map((k) => of((s) => (brief(s) && brief(s)[k]) || null))]);
  }

  // The curve: x counts nines, so that 99.9 % is as far from 99 % as that from 90 %.
  function curve() {
    const nines = (q) => -Math.log10(1 - Math.min(q, 0.999999999));
    const lines = data.curves.filter((c) => c.points && c.points.length);
    const tints = ["faint", "a", "b", "c", "d"];
    const tables = lines.map((c) => {
      const points = c.points.filter((p) => p.quantile < 1 || p === c.points[c.points.length - 1]);
      const last = points[points.length - 1];
      const xs = points.map((p, i) => (p.quantile < 1 ? nines(p.quantile) : i ? nines(points[i - 1].quantile) + 0.3 : 0));
      // 100 % has no place on this axis: it stands a little behind the point before it.
      return last ? [xs, points.map((p) => p.ms || null)] : [[], []];
    });
    const label = (n) => (n === 0 ? "0 %" : n === 1 ? "90 %" : (100 * (1 - 10 ** -n)).toFixed(Math.max(0, n - 2)) + " %");
    const joined = tables.length ? uPlot.join(tables) : [[]];
    draw("curve", {
      scales: { x: { time: false, range: (u, low, high) => [0, Math.max(1, Math.ceil(high * 10) / 10)] }, y: { distr: 3 } },
      axes: [
        axis({ splits: (u, i, low, high) => Array.from({ length: Math.floor(high) + 1 }, (_, n) => n), values: (u, vs) => vs.map(label) }),
        axis({ size: 58, filter: (u, vs) => vs, values: decades }),
      ],
      series: [{ label: "percentile", value: (u, v) => (v === null ? "" : (100 * (1 - 10 ** -v)).toFixed(3) + " %") }, ...lines.map((c, i) => line(c.name, tints[i % tints.length], time, { spanGaps: true, points: { show: false } }))],
    }, joined);
  }

  function connections() {
    draw("connections", overTime([line("open", "a", count), line("connecting", "c", count), line("failed a second", "bad", count)], compact),
      [at, of((s) => s.open), of((s) => s.connecting), of((s) => s.failed_a_second)]);
  }

  function cost() {
    const share = (v) => (v === null || v === undefined ? "" : v.toFixed(2));
    const series = [line("busy share of the generator's loops", "c", share)];
    const columns = [at, of((s) => s.busy)];
    if (data.server) {
      series.push(line("processors used by the server", "b", share));
      columns.push(of((s) => s.server_cores || 0));
    }
    draw("cost", overTime(series, short), columns);
  }

  function all() {
    for (const plot of drawn.splice(0)) plot.destroy();
    for (const one of [rate, latency, curve, connections, cost]) one();
  }
  all();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  // The body is watched and not the window: charts make the page long, and then its scroll bar takes some of their width.
  let width = document.body.clientWidth, waiting = 0;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(all, 100);
  }).observe(document.body);
})();
