// Command centrifuge is the rival on centrifugal/centrifuge, the library under Centrifugo. It has a
// protocol of its own, which its clients need and a client of raw frames does not speak, so its
// paths are driven in JSON text frames:
//
//	{"id":1,"connect":{}}                                           first, on both paths
//	{"id":2,"rpc":{"data":ANY}}                                     /echo: the reply is {"id":2,"rpc":{"data":ANY}}
//	{"id":2,"publish":{"channel":"broadcast","data":ANY}}           /broadcast: everybody gets {"push":{"channel":"broadcast","pub":{"data":ANY, …}}}
//
// POST /publish publishes its body, a JSON value or else a text, to the same channel, as a back end
// would. A client of raw frames that sends the first line once, and looks for its token anywhere in
// a frame, can so measure fan-out.
//
//   - the WebSocket handler of the library in JSON, with its write buffer pool; protobuf would be
//     smaller and is not what its users see first;
//   - subscribed by the server while connecting, so that there is no subscribe command to wait for;
//   - no history, presence, recovery, join messages or logs;
//   - its writer takes up to 16 waiting messages and joins them into one frame, by default. Who
//     lags more than ClientQueueMaxSize is disconnected;
//   - its pings are off: nobody in the bench has heartbeats.
package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"c100k-peers/peer"

	"github.com/centrifugal/centrifuge"
)

const channel = "broadcast"

// inRoom is the key of the request's context under which /broadcast says who it is.
type inRoom struct{}

func main() {
	o := peer.Parse()
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelNone, ClientQueueMaxSize: peer.LagBytesMax})
	peer.Check(err)
	node.OnConnecting(connecting)
	node.OnConnect(connected)
	peer.Check(node.Run())
	sockets := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin:        func(*http.Request) bool { return true },
		ReadBufferSize:     1024,
		UseWriteBufferPool: true,
		MessageSizeLimit:   peer.MessageMax,
		WriteTimeout:       peer.WriteWait,
		PingPongConfig:     centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1},
	})
	http.Handle("/echo", sockets)
	http.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) {
		sockets.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), inRoom{}, true)))
	})
	http.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		p, err := io.ReadAll(http.MaxBytesReader(w, r.Body, peer.MessageMax))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		if !json.Valid(p) {
			p, err = json.Marshal(string(p))
			peer.Check(err) // a string can always be marshalled
		}
		if _, err := node.Publish(channel, p); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	o.Serve(http.DefaultServeMux)
}

func connecting(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	reply := centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}
	if ctx.Value(inRoom{}) != nil {
		reply.Subscriptions = map[string]centrifuge.SubscribeOptions{channel: {}}
	}
	return reply, nil
}

func connected(client *centrifuge.Client) {
	client.OnRPC(func(e centrifuge.RPCEvent, reply centrifuge.RPCCallback) {
		reply(centrifuge.RPCReply{Data: e.Data}, nil)
	})
	client.OnPublish(func(e centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
		if e.Channel != channel {
			reply(centrifuge.PublishReply{}, centrifuge.ErrorPermissionDenied)
			return
		}
		reply(centrifuge.PublishReply{}, nil)
	})
}
