// The embedded NATS server that makes nodes a cluster with nothing to install.

package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"c100k/internal/bus"
	"c100k/internal/natsd"
)

// clusterPendingMin bounds what waits in the embedded server for one process of the node, in bytes,
// unless messages are so large that four of them need more.
const clusterPendingMin = 64 << 20

// clusterHeadBytes is what a message on the bus has on top of its payload, at most.
const clusterHeadBytes = 4 << 10

func (c *Config) validateCluster(v *validator) {
	switch {
	case c.Cluster == "" && len(c.ClusterPeers) > 0:
		v.refuse("ClusterPeers", strings.Join(c.ClusterPeers, " "), "without Cluster, the node does not listen for them")
	case c.Cluster == "" && c.ClusterSecretFile != "":
		v.refuse("ClusterSecretFile", strconv.Quote(c.ClusterSecretFile), "without Cluster, nobody reads it")
	case c.Cluster == "":
		return
	case c.ClusterSecretFile == "":
		v.refuse("ClusterSecretFile", "empty", "with Cluster, it must name the file that all nodes share")
	case c.Bus != BusMemory:
		v.refuse("Cluster", strconv.Quote(c.Cluster), "Bus joins the nodes already: one of the two")
	case len(c.History) > 0 && c.HistoryDir == "":
		v.refuse("HistoryDir", "empty", "with Cluster and History, it must say where this node keeps its copy")
	case len(c.History) > 0 && len(c.ClusterPeers) == 0:
		v.refuse("ClusterPeers", "empty", "with History, it must name other nodes: a store of one is no cluster")
	}
	if err := checkHostPort(c.Cluster); c.Cluster != "" && err != nil {
		v.refuse("Cluster", strconv.Quote(c.Cluster), err.Error())
	}
	for _, peer := range c.ClusterPeers {
		if host, _, _ := net.SplitHostPort(peer); host == "" || checkHostPort(peer) != nil {
			v.refuse("ClusterPeers", strconv.Quote(peer), "not of the form HOST:PORT")
		}
	}
}

// checkHostPort judges ADDR:PORT, whose host may be empty.
func checkHostPort(addr string) error {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("not of the form ADDR:PORT")
	}
	if port, err := strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return errors.New("the port is not a number of 0 to 65535")
	}
	return nil
}

// StartCluster starts the NATS server of Config.Cluster inside this process. Nodes reach it as a
// bus at its URL. For the supervisor of workers; a node of one process does it by itself.
func StartCluster(c *Config, o natsd.Options) (*natsd.Server, error) {
	secret, err := natsd.ReadSecret(c.ClusterSecretFile)
	if err != nil {
		return nil, &SettingError{"ClusterSecretFile", err}
	}
	o.Name = clusterNode(c.Cluster)
	o.Label = "cluster"
	o.Cluster = &natsd.Cluster{Listen: c.Cluster, Peers: c.ClusterPeers, Secret: secret}
	o.PayloadBytesMax = max(c.MaxMessage, bus.PacketBytesMax) + clusterHeadBytes
	o.PendingBytesMax = max(clusterPendingMin, 4*int64(o.PayloadBytesMax))
	if len(c.History) > 0 {
		return StartHistory(c, o)
	}
	s, err := natsd.Start(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBus, err)
	}
	return s, nil
}

// clusterNode is the name of a node in its cluster: the same after a restart, and no other node's.
// With a port that the kernel chooses there is no such name, and it is random.
func clusterNode(addr string) string {
	if _, port, _ := net.SplitHostPort(addr); port == "0" {
		return ""
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + "/" + addr
}

// startCluster starts the embedded server, if the configuration has a cluster. From here on it is
// the node's bus.
func (s *Server) startCluster() error {
	if s.cfg.Cluster == "" {
		return nil
	}
	n, err := StartCluster(&s.cfg, natsd.Options{Logger: s.log})
	if err != nil {
		return err
	}
	s.cluster, s.cfg.Bus, s.cfg.HistoryDir = n, n.URL(), ""
	s.log.Info("in a cluster", "addr", n.ClusterAddr().String(), "peers", strings.Join(s.cfg.ClusterPeers, " "))
	return nil
}

func (s *Server) leaveCluster() {
	if s.cluster != nil {
		s.cluster.Close()
	}
}

// ClusterAddr is where other nodes of the cluster reach this one, nil without a cluster. Any
// goroutine.
func (s *Server) ClusterAddr() net.Addr {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.ClusterAddr()
}
