// What all pages use: elements, figures as text, requests, questions.

// el makes an element. Children that are strings become text, never markup.
export function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value)
    else if (value === true) e.setAttribute(name, "")
    else if (value !== false && value != null) e.setAttribute(name, value)
  }
  e.append(...children.filter((c) => c != null))
  return e
}

// Characters that show nothing, or change the direction of what follows, are shown as escapes.
const hidden = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g
export const visible = (s) => String(s).replace(hidden, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"))

// foreign is a text of a client: of any length and content.
export const foreign = (s) => el("bdi", { title: visible(s ?? "") }, visible(s ?? ""))

const digits = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })
export function short(n) {
  if (n == null || Number.isNaN(n)) return "–"
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
    if (Math.abs(n) >= size) return digits.format(n / (unit === "k" ? 1e3 : size)) + unit
  }
  return digits.format(n)
}
export function bytes(n) {
  if (n == null || Number.isNaN(n)) return "–"
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (n >= size) return digits.format(n / size) + " " + unit
  }
  return digits.format(n) + " B"
}
export function span(seconds) {
  if (seconds == null) return "–"
  const s = Math.round(seconds)
  if (s < 60) return s + " s"
  if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s"
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min"
  return Math.floor(s / 86400) + " d " + Math.floor((s % 86400) / 3600) + " h"
}
export const clock = (text) => (text ? new Date(text).toLocaleString() : "–")

// session is what the node says of this page: {role, csrf}.
export const session = { role: "none", csrf: "" }

// call makes a request of the API. An answer that is an error throws its sentence.
export async function call(method, path, body, headers = {}) {
  if (session.csrf) headers["X-C100K-CSRF"] = session.csrf
  const answer = await fetch(path, { method, body, headers, credentials: "same-origin" })
  const text = await answer.text()
  let document = null
  try { document = text ? JSON.parse(text) : null } catch { /* not JSON: the status says it */ }
  if (!answer.ok) {
    const error = new Error(document?.detail || document?.title || "HTTP " + answer.status)
    error.status = answer.status
    throw error
  }
  return document
}
export const get = (path, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null)
  return call("GET", path + (given.length ? "?" + new URLSearchParams(given) : ""))
}

// confirm asks a question in the page's dialog.
export function confirm(question, yes) {
  const dialog = document.getElementById("confirm")
  document.getElementById("question").textContent = question
  document.getElementById("yes").textContent = yes
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true })
    dialog.returnValue = ""
    dialog.showModal()
  })
}

// act asks, acts, and tells what came of it. Who may only read has no such buttons that work.
export function act(label, question, f, attributes = {}) {
  const may = session.role === "full"
  return el("button", { type: "button", class: "danger", disabled: !may, title: may ? null : "the key of this page may only read", ...attributes,
    onclick: async (event) => {
      const button = event.currentTarget
      if (!(await confirm(question, label))) return
      button.disabled = true
      try { tell(await f() ?? "done", "good") } catch (err) { tell(err.message, "bad") }
      button.disabled = false
    } }, label)
}

// tell shows a sentence on the page, and reads it to those who do not see it.
export function tell(text, kind = "") {
  const note = document.getElementById("note")
  if (note) { note.textContent = visible(text); note.className = "note " + kind }
}
export const note = () => el("p", { id: "note", class: "note", role: "status", "aria-live": "polite" })

// field is a labelled input.
export function field(label, name, value = "", attributes = {}) {
  return el("label", { class: attributes.wide ? "wide" : null }, label, el(attributes.tag || "input", { name, value, autocomplete: "off", ...attributes, tag: null, wide: null }))
}

// table makes one. Columns are [head, cell of a row, class].
export function table(caption, columns, rows) {
  return el("div", { class: "table", role: "region", "aria-label": caption, tabindex: "0" },
    el("table", {},
      el("thead", {}, el("tr", {}, ...columns.map(([head, , kind]) => el("th", { scope: "col", class: kind }, head)))),
      el("tbody", {}, ...(rows.length ? rows.map((row) => el("tr", {}, ...columns.map(([, cell, kind]) => el("td", { class: kind }, cell(row) ?? ""))))
        : [el("tr", {}, el("td", { colspan: columns.length, class: "dim" }, "nothing"))]))))
}

export const missing = (list) => (list?.length ? el("p", { class: "warn" }, "Not whole: " + visible(list.join("; "))) : null)
