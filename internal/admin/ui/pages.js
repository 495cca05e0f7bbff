// Topics, connections, users, closes, and the box to publish.

import { act, bytes, call, clock, el, field, foreign, get, missing, note, short, span, table, tell, visible } from "./lib.js"

const link = (page, value, text) => el("a", { href: "#/" + page + "?" + new URLSearchParams(value) }, text ?? foreign(Object.values(value)[0]))

// search is a form whose fields are the query of the page's address.
function search(page, query, ...fields) {
  return el("form", { class: "bar", role: "search", onsubmit: (event) => {
    event.preventDefault()
    const given = [...new FormData(event.target)].filter(([, value]) => value !== "")
    location.hash = "#/" + page + "?" + new URLSearchParams(given)
  } }, ...fields, el("button", {}, "Search"))
}

// keep remembers where in a place the keyboard and the scrolled tables are, and returns what puts them
// there again when the place has been filled anew.
function keep(place) {
  const sign = (e) => e.tagName + (e.getAttribute("href") ?? e.getAttribute("aria-label") ?? e.textContent)
  const at = place.contains(document.activeElement) ? sign(document.activeElement) : null
  const scrolled = [...place.querySelectorAll(".table")].map((e) => e.scrollLeft)
  return () => {
    place.querySelectorAll(".table").forEach((e, i) => { e.scrollLeft = scrolled[i] ?? 0 })
    if (at) [...place.querySelectorAll("a, button, .table")].find((e) => sign(e) === at)?.focus({ preventScroll: true })
  }
}

// repeat fills a place now and every few seconds, while the page is seen.
function repeat(place, seconds, fill) {
  let busy = false
  const run = async () => {
    if (busy || document.hidden) return
    busy = true
    try {
      const parts = (await fill()).filter(Boolean), resume = keep(place)
      place.replaceChildren(...parts)
      resume()
    } catch (err) { tell(err.message, "bad") }
    busy = false
  }
  run()
  const timer = setInterval(run, seconds * 1000)
  return () => clearInterval(timer)
}

const more = (page, query, next) => (next ? el("p", {}, link(page, { ...query, after: next }, "Next page")) : null)

export function topics(main, query) {
  const place = el("div")
  main.append(el("h1", {}, "Topics"), search("topics", query, field("begins with", "prefix", query.prefix)), note(), place)
  return repeat(place, 5, async () => {
    const page = await get("/v1/topics", { prefix: query.prefix, order: "subscribers", limit: 100 })
    return [missing(page.missing), table("Topics, most subscribers first", [
      ["topic", (t) => link("connections", { topic: t.topic }), "text"], ["subscribers", (t) => short(t.subscribers), "n"],
      ["by transport", (t) => Object.entries(t.transports).map(([name, n]) => name + " " + short(n)).join(", ")]], page.topics)]
  })
}

const columns = [
  ["connection", (c) => link("connection", { id: c.id }, el("code", {}, c.id))], ["user", (c) => (c.sub ? link("users", { sub: c.sub }) : ""), "text"],
  ["address", (c) => visible(c.address ?? "")], ["transport", (c) => c.transport]]

export function connections(main, query) {
  const place = el("div")
  main.append(el("h1", {}, "Connections"), search("connections", query, field("user", "sub", query.sub), field("address or network", "address", query.address),
    field("topic", "topic", query.topic), field("bytes behind, at least", "behind", query.behind, { type: "number", min: 0 })),
    el("p", {}, link("connections", { behind: 1 }, "Who is slow")), note(), place)
  return repeat(place, 5, async () => {
    const page = await get("/v1/connections", query)
    return [missing(page.missing), table("Connections", [...columns, ["topics", (c) => short(c.topics), "n"], ["behind", (c) => bytes(c.behind), "n"],
      ["for", (c) => span(c.seconds), "n"]], page.connections), more("connections", query, page.next)]
  })
}

export function connection(main, query) {
  const place = el("div"), live = el("pre", { class: "live", tabindex: "0", "aria-label": "Trace" })
  const payload = el("input", { type: "checkbox", id: "payload" })
  let source
  const start = el("button", { type: "button", onclick: () => {
    if (source) { source.close(); source = null; start.textContent = "Start the trace"; return }
    live.textContent = ""
    start.textContent = "Stop the trace"
    source = new EventSource("/v1/trace?" + new URLSearchParams({ conn: query.id, payload: payload.checked ? 1 : 0 }))
    source.onmessage = (event) => line(JSON.parse(event.data))
    source.onerror = () => { line({ type: "the trace has ended" }); source?.close(); source = null; start.textContent = "Start the trace" }
  } }, "Start the trace")
  const line = (e) => {
    const { type, time, conn, sub, address, ...rest } = e
    live.append((time ?? "").slice(11, 23).padEnd(13) + type.padEnd(8) + Object.entries(rest).map(([k, v]) => k + "=" + visible(v)).join(" ") + "\n")
    while (live.childNodes.length > 500) live.firstChild.remove()
    live.scrollTop = live.scrollHeight
  }
  main.append(el("h1", {}, "Connection ", el("code", {}, visible(query.id ?? ""))), note(), place,
    el("h2", {}, "What goes in and out"), el("p", {}, start, " ", payload, el("label", { for: "payload", class: "inline" }, " with payloads")), live)
  const stop = repeat(place, 3, async () => [await describe(query.id)])
  return () => { stop(); source?.close() }
}

async function describe(id) {
  const c = await get("/v1/connections/" + encodeURIComponent(id))
  const rows = [["user", c.sub ? link("users", { sub: c.sub }) : "not identified"], ["address", visible(c.address ?? "not known")], ["transport", c.transport], ["began", clock(c.connected)]]
  if (c.closed) {
    rows.push(["ended", clock(c.closed) + ", after " + span(c.seconds)], ["reason", el("strong", {}, c.reason)], ["in words", c.why],
      ["close code", c.code ? c.code + " " + visible(c.text ?? "") : "none"], ["had not taken", bytes(c.owed)])
  } else {
    rows.push(["open for", span(c.seconds)], ["behind", el("span", { class: c.behind ? "warn" : null }, bytes(c.behind))],
      ["topics", el("span", {}, ...(c.subscriptions ?? []).flatMap((t, i) => [i ? ", " : "", link("connections", { topic: t })]))])
    if (c.expires) rows.push(["rights end", new Date(c.expires * 1000).toLocaleString()])
    if (c.token) rows.push(["token", foreign(c.token)])
    for (const [right, list] of Object.entries(c.rights ?? {})) rows.push(["may " + right, foreign(list.join(", "))])
  }
  return el("div", {}, el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    c.closed ? null : el("p", {}, act("Close", "Close connection " + id + "? Its client may come back.", async () => { await call("DELETE", "/v1/connections/" + id); return "closed" })))
}

export function users(main, query) {
  const place = el("div"), sub = query.sub
  main.append(el("h1", {}, "Users"), search("users", query, field("user", "sub", sub)), note(), place)
  if (!sub) {
    place.append(el("p", { class: "dim" }, "A user is the subject of tokens. Search for one to see its connections, and why those it had ended."))
    return
  }
  const path = "/v1/users/" + encodeURIComponent(sub) + "/connections"
  main.append(el("p", {}, act("Close all", "Close all connections of " + visible(sub) + "? The user may come back.", async () => { await call("DELETE", path); return "closed" }), " ",
    act("Revoke", "Revoke all tokens of " + visible(sub) + "? Its connections end, and it cannot come back with a token that it has now.", async () => {
      await call("POST", "/v1/revocations", JSON.stringify({ sub }), { "Content-Type": "application/json" })
      return "revoked"
    })))
  return repeat(place, 5, async () => {
    const [open, ended] = await Promise.all([get("/v1/connections", { sub }), get("/v1/closes", { sub, limit: 50 })])
    return [el("h2", {}, "Open"), missing(open.missing), table("Open", [...columns, ["behind", (c) => bytes(c.behind), "n"], ["for", (c) => span(c.seconds), "n"]], open.connections),
      el("h2", {}, "Ended"), missing(ended.missing), ends(ended.closes)]
  })
}

const ends = (list) => table("Ends of connections", [["ended", (c) => clock(c.closed)], ["reason", (c) => c.reason], columns[1], columns[0],
  ["after", (c) => span(c.seconds), "n"], ["owed", (c) => bytes(c.owed), "n"], ["in words", (c) => c.why + (c.text ? " (" + visible(c.text) + ")" : ""), "words"],
  ["code", (c) => (c.code ? String(c.code) : ""), "n"], columns[2], columns[3]], list)

export function closes(main, query) {
  const place = el("div")
  const reasons = ["", "slow_consumer", "timeout", "protocol_error", "message_too_big", "policy", "memory", "panic", "peer", "reset", "token_expired", "token_revoked", "drain", "admin"]
  const reason = el("select", { name: "reason" }, ...reasons.map((r) => el("option", { value: r, selected: r === (query.reason ?? "") }, r || "all")))
  main.append(el("h1", {}, "Why connections ended"), search("closes", query, el("label", {}, "reason", reason), field("user", "sub", query.sub),
    field("address or network", "address", query.address), field("since", "since", query.since, { placeholder: "15m" })), note(), place)
  return repeat(place, 5, async () => {
    const page = await get("/v1/closes", query)
    return [missing(page.missing), ends(page.closes), more("closes", query, page.next)]
  })
}

export function publish(main) {
  main.append(el("h1", {}, "Publish"), note(), el("form", { class: "bar", onsubmit: async (event) => {
    event.preventDefault()
    const form = new FormData(event.target), kind = form.get("kind")
    try {
      const r = await call("POST", "/v1/topics/" + encodeURIComponent(form.get("topic")), form.get("data"), { "Content-Type": kind })
      tell("matched " + r.matched + ", queued " + r.queued + ", dropped " + r.dropped + (r.offset ? ", position " + r.offset : ""), "good")
    } catch (err) { tell(err.message, "bad") }
  } }, field("topic", "topic", "", { required: true, maxlength: 255 }),
  el("label", {}, "as", el("select", { name: "kind" }, el("option", { value: "text/plain" }, "text"), el("option", { value: "application/json" }, "JSON"))),
  el("label", { class: "wide" }, "data", el("textarea", { name: "data" })), el("button", {}, "Publish")))
}

export function login(main, done) {
  main.append(el("h1", {}, "Log in"), el("p", { class: "dim" }, "From another machine, the dashboard wants the API key of the node, or the key that may only read (--admin-read-key)."), note(),
    el("form", { class: "bar", onsubmit: async (event) => {
      event.preventDefault()
      try { await call("POST", "/ui/login", JSON.stringify({ key: new FormData(event.target).get("key") }), { "Content-Type": "application/json" }); done() } catch (err) { tell(err.message, "bad") }
    } }, field("key", "key", "", { type: "password", required: true, autocomplete: "current-password" }), el("button", {}, "Log in")))
}
