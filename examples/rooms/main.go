// Rooms is a backend behind a node: it logs users in, gives them tokens, and decides with hooks who
// may read and write which room. Ann may read and write, Bob may read, and Eve may do neither. The
// node keeps the connections; the backend only answers short requests.
//
//	openssl rand -hex 32 > token.key; openssl rand -hex 32 > hook.key
//	go run ./examples/rooms --token-key token.key --hook-secret hook.key &
//	c100k serve --upstream http://127.0.0.1:8000 --listen 127.0.0.1:8080 \
//	    --token-key token.key --token-cookie rooms --require-token \
//	    --hook-subscribe http://127.0.0.1:8000/hook --hook-publish http://127.0.0.1:8000/hook \
//	    --hook-secret-file hook.key
//
// and open http://127.0.0.1:8080/ in three windows. /socketio.html is the same page with
// socket.io-client. Do not let the public reach /hook: the node does not need the upstream for it,
// and the signature is what keeps others out.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed" // the pages
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

//go:embed page.html
var page []byte

//go:embed socketio.html
var socketIOPage []byte

const (
	cookieName = "rooms"   // --token-cookie
	room       = "rooms.1" // the topic
	session    = time.Hour // how long a login lasts

	// skew is how far the clock of the node may be from ours. An older request may be a recorded one.
	skew = 5 * time.Minute

	// bodyMax bounds a request of the node in bytes: --max-message and what is around the message.
	bodyMax = 128 << 10
)

// users may log in with their name alone. A program of yours asks for a password.
var users = map[string]struct {
	name        string
	read, write bool
}{
	"ann": {"Ann", true, true},
	"bob": {"Bob", true, false},
	"eve": {"Eve", false, false},
}

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	tokenKey := flag.String("token-key", "token.key", "file with the secret of tokens, 32 bytes or more, which the node has too")
	hookSecret := flag.String("hook-secret", "hook.key", "file with the secret with which the node signs requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *tokenKey, *hookSecret); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, tokenKey, hookSecret string) error {
	b := new(backend)
	var err error
	if b.tokenKey, err = secret(tokenKey); err != nil {
		return err
	}
	if b.hookSecret, err = secret(hookSecret); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s/", ln.Addr())
	s := &http.Server{Handler: b.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = s.Shutdown(context.Background()) })()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// secret reads a file, without the line break that editors put at its end.
func secret(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return []byte(strings.TrimRight(string(content), " \t\r\n")), nil
}

// backend is the application.
type backend struct{ tokenKey, hookSecret []byte }

func (b *backend) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", html(page))
	mux.HandleFunc("GET /socketio.html", html(socketIOPage))
	mux.HandleFunc("POST /login", b.login)
	mux.HandleFunc("POST /logout", logout)
	mux.HandleFunc("POST /token", b.token)
	mux.HandleFunc("POST /hook", b.hook)
	return mux
}

func html(text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(text)
	}
}

// login gives the browser a cookie with a token. The node reads it: --token-cookie.
func (b *backend) login(w http.ResponseWriter, r *http.Request) {
	sub := strings.ToLower(r.FormValue("name"))
	if _, known := users[sub]; !known {
		http.Error(w, "Only Ann, Bob and Eve have an account.", http.StatusForbidden)
		return
	}
	token, err := b.mint(sub)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", MaxAge: int(session.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, back(r), http.StatusSeeOther)
}

func logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, back(r), http.StatusSeeOther)
}

// back is the page that a form was on.
func back(r *http.Request) string {
	if r.FormValue("page") == "socketio" {
		return "/socketio.html"
	}
	return "/"
}

// token gives the page of a user who is logged in a token for Socket.IO's auth, which cannot read
// the cookie.
func (b *backend) token(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		http.Error(w, "Log in first.", http.StatusUnauthorized)
		return
	}
	claims := new(jwt.RegisteredClaims)
	_, err = jwt.ParseWithClaims(cookie.Value, claims, func(*jwt.Token) (any, error) { return b.tokenKey, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	if err != nil {
		http.Error(w, "Log in again.", http.StatusUnauthorized)
		return
	}
	token, err := b.mint(claims.Subject)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]string{"token": token, "name": users[claims.Subject].name})
}

// mint makes a token. It says who somebody is; what they may do, the hook decides.
func (b *backend) mint(sub string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": sub, "iat": now.Unix(), "exp": now.Add(session).Unix(),
		"c100k": map[string]any{"info": map[string]string{"name": users[sub].name}},
	}).SignedString(b.tokenKey)
}

// question is what the node asks.
type question struct {
	Type   string
	Sub    string
	Topics []string
	Data   struct{ From string }
}

// decision is the answer. Cache is for how many seconds the node need not ask again.
type decision struct {
	Allow  bool   `json:"allow"`
	Reason string `json:"reason,omitempty"`
	Cache  int    `json:"cache,omitempty"`
}

// hook answers the node.
func (b *backend) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := b.verify(r.Header.Get("C100K-Signature"), body, time.Now()); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var q question
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, decide(&q))
}

// verify checks that the body is from the node, and not an old one: the signature is
// "t=UNIX,v1=HEX", the HMAC-SHA256 of the time, a full stop and the body.
func (b *backend) verify(signature string, body []byte, now time.Time) error {
	stamp, sum, _ := strings.Cut(signature, ",v1=")
	stamp, _ = strings.CutPrefix(stamp, "t=")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > skew {
		return errors.New("the signature has no time, or one that is too far from now")
	}
	given, err := hex.DecodeString(sum)
	if err != nil {
		return errors.New("the signature is not hexadecimal")
	}
	mac := hmac.New(sha256.New, b.hookSecret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), given) { // in constant time
		return errors.New("the signature is not that of this body")
	}
	return nil
}

// decide says who may do what. The reason is shown to the user.
func decide(q *question) decision {
	user, known := users[q.Sub]
	for _, topic := range q.Topics {
		if topic != room {
			return decision{Reason: fmt.Sprintf("There is no room %q.", topic)}
		}
	}
	switch {
	case !known:
		return decision{Reason: "Log in first."}
	case !user.read:
		return decision{Reason: user.name + " is not a member of this room. Ask Ann for an invitation."}
	case q.Type == "publish" && !user.write:
		return decision{Reason: user.name + " may read in this room, and not write."}
	case q.Type == "publish" && q.Data.From != user.name:
		return decision{Reason: user.name + " may not write in the name of somebody else."}
	case q.Type == "publish":
		return decision{Allow: true} // not cached: the next message may be another one
	}
	return decision{Allow: true, Cache: 10}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
