// The frame: which page is shown, and who looks at it.

import { call, session } from "./lib.js"
import { connect } from "./live.js"
import { overview } from "./overview.js"
import { closes, connection, connections, login, publish, topics, users } from "./pages.js"

const pages = { overview, topics, connections, connection, users, closes, publish }
const main = document.getElementById("main"), stateText = document.getElementById("state"), logout = document.getElementById("logout")
let leave

function state(text, bad) {
  if (stateText.textContent !== text) stateText.textContent = text
  stateText.className = bad ? "bad" : ""
}

function show() {
  const [name, query] = location.hash.replace(/^#\//, "").split("?")
  const page = pages[name] ? name : "overview"
  leave?.()
  main.replaceChildren()
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash === "#/" + (page === "connection" ? "connections" : page)) a.setAttribute("aria-current", "page")
    else a.removeAttribute("aria-current")
  }
  document.title = "c100k " + page
  leave = pages[page](main, Object.fromEntries(new URLSearchParams(query ?? "")))
}

async function begin() {
  try { Object.assign(session, await call("GET", "/ui/session")) } catch (err) { state(err.message, true); return }
  logout.hidden = !session.csrf
  if (session.role === "none") {
    leave?.()
    main.replaceChildren()
    state("log in")
    login(main, begin)
    return
  }
  connect(state)
  show()
}

addEventListener("hashchange", () => { if (session.role !== "none") { show(); main.focus({ preventScroll: true }) } })
logout.addEventListener("click", async () => { await call("POST", "/ui/logout"); location.reload() })
begin()
