// The stream of figures: one a page, whatever is shown.

const listeners = new Set()
export const samples = [] // the last ten minutes
let source

// listen calls f with each new sample, until the returned function is called.
export function listen(f) {
  listeners.add(f)
  return () => listeners.delete(f)
}

export function connect(state) {
  source?.close()
  source = new EventSource("/v1/figures")
  source.addEventListener("history", (event) => {
    samples.splice(0, samples.length, ...JSON.parse(event.data))
    listeners.forEach((f) => f())
  })
  source.onmessage = (event) => {
    const sample = JSON.parse(event.data)
    while (samples.length && samples[0].t < sample.t - 600_000) samples.shift()
    samples.push(sample)
    listeners.forEach((f) => f())
    state(sample.draining ? "draining" : "live", sample.draining)
  }
  source.onerror = () => state("no connection to the node", true)
}

// rate is how fast a total grows at sample i, a second; a node that was started anew begins again.
export function rate(i, key) {
  const now = samples[i], before = samples[i - 1]
  if (!before) return null
  const seconds = (now.t - before.t) / 1000
  return seconds > 0 ? Math.max(0, now[key] - before[key]) / seconds : null
}
export const lastRate = (key) => rate(samples.length - 1, key)
