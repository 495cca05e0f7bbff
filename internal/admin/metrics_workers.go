// The metrics of a node of several workers, by worker: their number is small
// and fixed.

package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descWorkerUp       = desc("c100k_worker_up", "1 while the worker serves and answers, else 0.", "worker")
	descWorkerConns    = desc("c100k_worker_connections", "Open connections of the worker.", "worker")
	descWorkerRestarts = desc("c100k_worker_restarts_total", "How often the worker was started again.", "worker")
	descWorkerCPU      = desc("c100k_worker_cpu_seconds_total", "CPU time of the worker and of those before it, user and system.", "worker")
	descWorkerMemory   = desc("c100k_worker_private_bytes", "Private memory of the worker.", "worker")
	descWorkerSent     = desc("c100k_worker_messages_sent_total", "Messages that the worker, and those before it, sent to clients.", "worker")

	descsOfWorkers = []*prometheus.Desc{descWorkerUp, descWorkerConns, descWorkerRestarts, descWorkerCPU, descWorkerMemory, descWorkerSent}
)

// collectWorkers gives the metrics of each worker to counter and gauge.
func collectWorkers(workers []Worker, counter, gauge func(*prometheus.Desc, float64, ...string)) {
	for i := range workers {
		w := &workers[i]
		name, up := strconv.Itoa(w.Worker), 0.0
		if w.State == WorkerServing {
			up = 1
		}
		gauge(descWorkerUp, up, name)
		gauge(descWorkerConns, float64(w.Connections), name)
		counter(descWorkerRestarts, float64(w.Restarts), name)
		counter(descWorkerCPU, w.CPUSeconds, name)
		gauge(descWorkerMemory, float64(w.PrivateBytes), name)
		counter(descWorkerSent, float64(w.MessagesSent), name)
	}
}
