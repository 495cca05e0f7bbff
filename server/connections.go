// Connections as the API lists them, and their ends.

package server

import (
	"context"
	"errors"
	"time"

	"c100k/internal/admin"
	"c100k/internal/node"
	"c100k/netpoll"
)

// errLoopBusy is what a trace fails with where a loop takes no task.
var errLoopBusy = errors.New("a loop is too busy: try again")

// missingBusy is what the API says where a loop did not answer in time.
const missingBusy = "a loop is too busy: its connections are missing"

// Connections lists those that are open.
func (n adminNode) Connections(ctx context.Context, q *admin.ConnectionQuery) (list []admin.Connection, missing []string) {
	clients, err := n.node.Clients(ctx, &node.Clients{Sub: q.Sub, Topic: q.Topic, Addrs: q.Addrs, Behind: q.Behind, After: q.After}, q.Most)
	if err != nil {
		missing = []string{missingBusy}
	}
	now := time.Now()
	list = make([]admin.Connection, len(clients))
	for i := range clients {
		list[i] = connectionOf(&clients[i], now)
	}
	return list, missing
}

func connectionOf(c *node.Client, now time.Time) admin.Connection {
	sub := ""
	if c.Who != nil {
		sub = c.Who.Subject
	}
	return admin.Connection{Client: admin.NewClient(c.ID, c.Transport, sub, c.Addr, now, c.Lasted), Topics: c.Topics, Behind: c.Behind}
}

// Connection is one connection, or its end.
func (n adminNode) Connection(ctx context.Context, id netpoll.ID) (any, error) {
	client, topics, found, err := n.node.Client(ctx, id, admin.SubscriptionsMax)
	if err != nil {
		return nil, err
	}
	if !found {
		if end, ok := n.ends.kept.Find(id); ok {
			closed := admin.NewClosed(&end)
			return &closed, nil
		}
		return nil, nil
	}
	c := connectionOf(&client, time.Now())
	c.Subscriptions = topics
	if who := client.Who; who != nil {
		c.Expires, c.Token = who.ExpiresAt, who.ID
		if who.Rights != nil {
			lists := who.Rights.Lists()
			c.Rights = &lists
		}
	}
	return &c, nil
}

// Closes lists ends of connections.
func (n adminNode) Closes(_ context.Context, q *admin.CloseQuery) (list []admin.Closed, missing []string) {
	kept := n.ends.kept.List(&q.Query, q.Most)
	list = make([]admin.Closed, len(kept))
	for i := range kept {
		list[i] = admin.NewClosed(&kept[i])
	}
	return list, nil
}
