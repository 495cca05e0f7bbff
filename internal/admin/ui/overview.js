// The overview: is it well, and what is it doing?

import { act, bytes, call, el, get, note, short, span, table, visible } from "./lib.js"
import { lastRate, listen, rate, samples } from "./live.js"

const colors = () => {
  const style = getComputedStyle(document.documentElement)
  return { line: [style.getPropertyValue("--accent"), style.getPropertyValue("--warn"), style.getPropertyValue("--good")], text: style.getPropertyValue("--dim"), grid: style.getPropertyValue("--line") }
}

const time = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" })

// charts are [title, unit formatter, [[label, value at sample i]…]].
const charts = [
  ["Connections", short, [["open", (i) => samples[i].conns]]],
  ["Messages a second", short, [["in", (i) => rate(i, "in")], ["out", (i) => rate(i, "out")]]],
  ["Bytes a second", bytes, [["in", (i) => rate(i, "in_bytes")], ["out", (i) => rate(i, "out_bytes")]]],
  ["Fan-out and turns, milliseconds", short, [["fan-out p50", (i) => samples[i].fanout_p50], ["fan-out p99", (i) => samples[i].fanout_p99], ["turn p99", (i) => samples[i].turn_p99]]],
  ["Processor, cores", short, [["process", (i) => rate(i, "cpu")], ["loops", (i) => rate(i, "busy")]]],
  ["Memory", bytes, [["private", (i) => samples[i].memory], ["waiting to be sent", (i) => samples[i].outbox]]],
]

export function overview(main) {
  const tiles = {}
  const tile = (key, label) => {
    tiles[key] = el("b", {}, "–")
    return el("div", { class: "tile" }, tiles[key], el("span", {}, label))
  }
  const boxes = charts.map(([title]) => el("section", { class: "chart", "aria-label": title }, el("h2", {}, title)))
  const details = el("div")
  main.append(el("h1", {}, "Overview"), note(),
    el("div", { class: "tiles" }, tile("conns", "connections"), tile("out", "messages out/s"), tile("in", "messages in/s"), tile("topics", "topics"),
      tile("fanout", "fan-out p99"), tile("turn", "loop turn p99"), tile("cpu", "processor"), tile("memory", "memory"),
      tile("outbox", "waiting to be sent"), tile("slow", "too slow, 10 min"), tile("closed", "closed/s"), tile("refused", "refused, 10 min")),
    el("div", { class: "charts" }, ...boxes), details,
    el("p", {}, act("Drain the node", "Drain the node? It takes no new connections, and closes those that are open over --drain. Then it ends.", async () => { await call("POST", "/v1/drain"); return "draining" })))

  let plots = [], most
  const data = (series) => [samples.map((s) => s.t / 1000), ...series.map(([, at]) => samples.map((_, i) => at(i)))]
  const draw = () => {
    plots.forEach((p) => p.destroy())
    const c = colors()
    plots = charts.map(([, format, series], n) => new uPlot({
      width: Math.max(200, boxes[n].clientWidth - 18), height: 160, cursor: { y: false }, legend: { live: true },
      series: [{ label: "time" }, ...series.map(([label], k) => ({ label, stroke: c.line[k], width: 1.5, points: { show: false }, spanGaps: true, value: (_, v) => format(v) }))],
      axes: [{ stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { show: false }, space: 70, values: (_, list) => list.map((t) => time.format(t * 1000)) },
        { stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { show: false }, size: 64, values: (_, list) => list.map(format) }],
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    }, data(series), boxes[n]))
  }
  const set = (key, text, bad = false) => { tiles[key].textContent = text; tiles[key].className = bad ? "bad" : "" }
  const update = () => {
    const s = samples.at(-1), first = samples[0]
    if (!s) return
    set("conns", short(s.conns) + (most ? " of " + short(most) : ""), most && s.conns > 0.9 * most); set("out", short(lastRate("out"))); set("in", short(lastRate("in"))); set("topics", short(s.topics))
    set("fanout", s.fanout_p99 == null ? "–" : short(s.fanout_p99) + " ms"); set("turn", s.turn_p99 == null ? "–" : short(s.turn_p99) + " ms", s.turn_p99 > 100)
    set("cpu", short(lastRate("cpu")) + " cores"); set("memory", bytes(s.memory), s.short)
    set("outbox", bytes(s.outbox)); set("slow", short(s.slow - first.slow), s.slow > first.slow)
    set("closed", short(lastRate("closed"))); set("refused", short(s.refused - first.refused), s.refused > first.refused)
    plots.forEach((p, n) => p.setData(data(charts[n][2])))
  }
  const refresh = async () => {
    let s
    try { s = await get("/v1/stats") } catch { return }
    most = s.connections?.max
    details.replaceChildren(...parts(s))
  }
  draw(); update(); refresh()
  const stop = listen(update), timer = setInterval(refresh, 5000)
  const resized = new ResizeObserver(() => plots.forEach((p, n) => p.setSize({ width: Math.max(200, boxes[n].clientWidth - 18), height: 160 })))
  resized.observe(main)
  const scheme = matchMedia("(prefers-color-scheme: dark)")
  scheme.addEventListener("change", draw)
  return () => { stop(); clearInterval(timer); resized.disconnect(); scheme.removeEventListener("change", draw); plots.forEach((p) => p.destroy()) }
}

// parts are what changes seldom: transports, workers, the bus, certificates.
function parts(s) {
  const out = [el("h2", {}, "Node"), el("dl", {},
    el("dt", {}, "version"), el("dd", {}, visible(s.version)), el("dt", {}, "up"), el("dd", {}, span(s.uptime_seconds)),
    el("dt", {}, "bus"), el("dd", { class: s.bus?.connected ? "good" : "bad" }, visible(s.bus?.kind) + (s.bus?.connected ? "" : ": " + visible(s.bus?.reason ?? "not connected"))),
    el("dt", {}, "by transport"), el("dd", {}, Object.entries(s.connections?.open ?? {}).map(([t, n]) => t + " " + short(n)).join(", ") || "none"),
    el("dt", {}, "open files"), el("dd", {}, short(s.files?.open) + " of " + short(s.files?.limit)))]
  const certificates = Object.entries(s.tls?.certificate_expiry_timestamp_seconds ?? {})
  if (certificates.length) {
    out.push(el("h2", {}, "Certificates"), table("Certificates", [["name", ([name]) => visible(name), "text"], ["expires", ([, t]) => new Date(t * 1000).toLocaleString()]], certificates))
  }
  if (s.workers?.length) {
    out.push(el("h2", {}, "Workers"), table("Workers", [
      ["worker", (w) => String(w.worker ?? w.number ?? s.workers.indexOf(w))], ["state", (w) => w.state], ["connections", (w) => short(w.connections), "n"],
      ["restarts", (w) => short(w.restarts_total), "n"], ["memory", (w) => bytes(w.private_bytes), "n"], ["up", (w) => span(w.uptime_seconds), "n"], ["note", (w) => visible(w.note ?? ""), "text"]], s.workers))
  }
  if (s.loops?.length && !s.workers?.length) {
    out.push(el("h2", {}, "Loops"), table("Loops", [["loop", (l) => String(l.loop ?? s.loops.indexOf(l))], ["connections", (l) => short(l.connections), "n"],
      ["busy", (l) => span(l.busy_seconds_total), "n"], ["waiting to be sent", (l) => bytes(l.outbox_bytes), "n"], ["mailbox", (l) => short(l.mailbox), "n"]], s.loops))
  }
  return out
}
