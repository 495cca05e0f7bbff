// `c100k token`: tokens for development, and what a token allows.

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/settings"
)

const (
	// tokenBytesMax bounds a token on standard input, in bytes: one that a node takes is shorter.
	tokenBytesMax = 64 << 10

	// secretBytesMin is the least a secret has, in bytes: RFC 7518, 3.2 asks for as many as HS256 has.
	secretBytesMin = 32
)

func (a *app) token() *cobra.Command {
	return a.group(&cobra.Command{
		Use: "token", Short: "Makes and checks tokens (JWT) for development",
		Long: "A token says who a client is and what it may do; serve --token-key verifies it.",
		Example: "c100k token mint --key secret --sub u17 --subscribe 'chat.>' --for 1h\nc100k token show \"$TOKEN\"\n" +
			"c100k token explain \"$TOKEN\" --subscribe chat.staff.1",
	}, a.tokenMint(), a.tokenShow(), a.tokenExplain())
}

func (a *app) tokenMint() *cobra.Command {
	return a.command(verb{
		path: "token mint", use: "mint", short: "Prints a new token",
		examples: []string{
			"openssl rand -hex 32 > secret",
			"c100k token mint --key secret --sub u17 --subscribe 'chat.>' --for 1h",
			"c100k token mint --key private.pem --sub u17 --publish 'chat.*' --deny 'chat.staff.>' --info '{\"name\":\"Ann\"}'",
		},
		args: arguments(0, 0, "no arguments"),
		run: func(_ context.Context, c call) error {
			token, err := mintToken(&c.Options.Token, time.Now())
			if err == nil {
				_, err = fmt.Fprintln(a.stdout, token)
			}
			return err
		},
	})
}

// mintToken makes the token that the options ask for.
func mintToken(o *settings.TokenOptions, now time.Time) (string, error) {
	m := &o.Mint
	switch {
	case m.Key == "":
		return "", usage("--key is missing: a file with a secret of %d bytes or more, or with a private key in PEM", secretBytesMin)
	case m.Subject == "":
		return "", usage("--sub is missing: a node refuses a token without a subject")
	case m.For <= 0:
		return "", usage("--for: %v is refused; allowed is a time above 0", m.For)
	case m.Info != "" && !json.Valid([]byte(m.Info)):
		return "", usage("--info: it is not JSON")
	}
	id := auth.Identity{Subject: m.Subject, ID: m.ID, Expires: now.Add(m.For), Info: json.RawMessage(m.Info),
		Lists: auth.Lists{Subscribe: m.Subscribe, Publish: m.Publish, History: m.History, Presence: m.Presence, Deny: m.Deny, Join: m.Join}}
	if _, err := auth.NewPrincipal(&id, new(auth.Registry), now, 0, 0); err != nil {
		return "", usage("a node would refuse this token: %w", err)
	}
	method, key, err := signingKey(m.Key)
	if err != nil {
		return "", err
	}
	if id.ID == "" {
		id.ID = rand.Text()
	}
	return jwt.NewWithClaims(method, claimsOf(&id, m.Issuer, m.Audience, now)).SignedString(key)
}

// claimsOf are the claims of a token.
func claimsOf(id *auth.Identity, issuer string, audience []string, now time.Time) jwt.MapClaims {
	claims := jwt.MapClaims{"jti": id.ID, "iat": now.Unix(), "exp": id.Expires.Unix()}
	if id.Subject != "" {
		claims["sub"] = id.Subject
	}
	if issuer != "" {
		claims["iss"] = issuer
	}
	if len(audience) > 0 {
		claims["aud"] = audience
	}
	rights := map[string]any{}
	for name, list := range map[string][]string{"subscribe": id.Subscribe, "publish": id.Publish, "history": id.History,
		"presence": id.Presence, "deny": id.Deny, "join": id.Join} {
		if len(list) > 0 {
			rights[name] = list
		}
	}
	if len(id.Info) > 0 {
		rights["info"] = id.Info
	}
	if len(rights) > 0 {
		claims["c100k"] = rights
	}
	return claims
}

// signingKey reads a key that signs, and says how.
func signingKey(path string) (jwt.SigningMethod, any, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		secret := auth.ReadSecret(content)
		if len(secret) < secretBytesMin {
			return nil, nil, fmt.Errorf("%s: the secret has %d bytes; allowed are %d or more, or a private key in PEM", path, len(secret), secretBytesMin)
		}
		return jwt.SigningMethodHS256, secret, nil
	}
	key, err := privateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jwt.SigningMethodRS256, k, nil
	case ed25519.PrivateKey:
		return jwt.SigningMethodEdDSA, k, nil
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P384():
			return jwt.SigningMethodES384, k, nil
		case elliptic.P521():
			return jwt.SigningMethodES512, k, nil
		case elliptic.P256():
			return jwt.SigningMethodES256, k, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: it is neither an RSA, ECDSA nor Ed25519 key", path)
}

// privateKey parses one in whatever form PEM files have it.
func privateKey(der []byte) (crypto.PrivateKey, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("it is no private key: a token is signed with that, and verified with the public one")
}

func (a *app) tokenShow() *cobra.Command {
	return a.command(verb{
		path: "token show", use: "show JWT", short: "Prints what a token says",
		long: "JWT is the token, or - for standard input. Without --key the signature is not checked.\nExit code 1: with --key, a node would refuse the token.",
		examples: []string{
			"c100k token show \"$TOKEN\"",
			"c100k token mint --key secret --sub u17 | c100k token show - --key secret",
		},
		args: arguments(1, 1, "a token"),
		run: func(ctx context.Context, c call) error {
			token, err := a.readToken(c.args[0])
			if err != nil {
				return err
			}
			return a.showToken(ctx, token, c.Options.Token.Show.Key)
		},
	})
}

// readToken is the token of an argument.
func (a *app) readToken(argument string) (string, error) {
	if argument != "-" {
		return argument, nil
	}
	content, err := io.ReadAll(io.LimitReader(a.stdin, tokenBytesMax))
	return strings.TrimSpace(string(content)), err
}

func (a *app) showToken(ctx context.Context, token, key string) error {
	header, claims, err := tokenParts(token)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, part := range [][]byte{header, claims} {
		if err := json.Indent(&out, part, "", "  "); err != nil {
			return usage("not a token: its parts are not JSON")
		}
		out.WriteByte('\n')
	}
	text := strings.ReplaceAll(out.String(), `\u003e`, ">") // encoders for HTML write it in patterns
	out.Reset()
	out.WriteString(text)
	now := time.Now()
	who, err := auth.ParseClaims(claims)
	switch {
	case err != nil:
		fmt.Fprintf(&out, "a node would refuse it: %v\n", err)
	case who.Expires.IsZero():
		out.WriteString("a node would refuse it: it has no exp\n")
	case who.Expires.Before(now):
		fmt.Fprintf(&out, "expired %s ago\n", now.Sub(who.Expires).Round(time.Second))
	default:
		fmt.Fprintf(&out, "valid for %s\n", who.Expires.Sub(now).Round(time.Second))
	}
	refused := error(nil)
	if key == "" {
		out.WriteString("signature: not checked (--key)\n")
	} else if refused, err = verifyToken(ctx, token, key); err != nil {
		return err
	} else if refused != nil {
		fmt.Fprintf(&out, "signature and claims: refused: %v\n", refused)
	} else {
		out.WriteString("signature and claims: a node with this key takes it\n")
	}
	if _, err := a.stdout.Write(out.Bytes()); err != nil {
		return err
	}
	if refused != nil {
		return &exit{code: exitFailure}
	}
	return nil
}

// verifyToken checks a token as a node with that key does.
func verifyToken(ctx context.Context, token, key string) (refused, err error) {
	v, err := auth.NewVerifier(auth.VerifierConfig{Files: []string{key}, Registry: new(auth.Registry)})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	_, refused = v.Verify(ctx, token)
	return refused, nil
}

// tokenParts decodes the header and the claims of a token.
func tokenParts(token string) (header, claims []byte, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, usage("not a token: it has %d parts, and a JWT has 3", len(parts))
	}
	for i, part := range []*[]byte{&header, &claims} {
		if *part, err = base64.RawURLEncoding.DecodeString(parts[i]); err != nil {
			return nil, nil, usage("not a token: part %d is not base64url", i+1)
		}
	}
	return header, claims, nil
}

func (a *app) tokenExplain() *cobra.Command {
	return a.command(verb{
		path: "token explain", use: "explain JWT", short: "Reports which rule of a token decides about a topic",
		long: "JWT is the token, or - for standard input. Its signature is not checked.\nTopics that a node opens to everybody (serve --public-topics) are not known here.",
		examples: []string{
			"c100k token explain \"$TOKEN\" --subscribe chat.staff.1",
			"c100k token explain \"$TOKEN\" --subscribe chat.1 --publish chat.1",
		},
		args: arguments(1, 1, "a token"),
		run: func(_ context.Context, c call) error {
			token, err := a.readToken(c.args[0])
			if err != nil {
				return err
			}
			text, err := explainToken(token, &c.Options.Token, time.Now())
			if err == nil {
				_, err = io.WriteString(a.stdout, text)
			}
			return err
		},
	})
}

// explainToken says of each topic that was asked about which rule decides.
func explainToken(token string, o *settings.TokenOptions, now time.Time) (string, error) {
	_, claims, err := tokenParts(token)
	if err != nil {
		return "", err
	}
	id, err := auth.ParseClaims(claims)
	if err != nil {
		return "", usage("a node would refuse this token: %w", err)
	}
	who, err := auth.NewPrincipal(id, new(auth.Registry), now, 0, 0)
	if err != nil {
		return "", usage("a node would refuse this token: %w", err)
	}
	var out strings.Builder
	if !id.Expires.IsZero() && id.Expires.Before(now) {
		fmt.Fprintf(&out, "the token expired %s ago: a node refuses it, whatever its rules say\n", now.Sub(id.Expires).Round(time.Second))
	}
	asked := 0
	for _, question := range []struct {
		right  auth.Right
		topics []string
	}{{auth.Subscribe, o.Explain.Subscribe}, {auth.Publish, o.Explain.Publish}, {auth.History, o.Explain.History}, {auth.Presence, o.Explain.Presence}} {
		for _, topic := range question.topics {
			if err := broadcast.ValidTopic(topic); err != nil {
				return "", usage("--%s: %q: %w", question.right, topic, err)
			}
			asked++
			fmt.Fprintf(&out, "%s %s: %s\n", question.right, topic, ruleOf(who.Explain(question.right, topic)))
		}
	}
	if asked == 0 {
		return "", usage("nothing to explain: name a topic with --subscribe, --publish, --history or --presence")
	}
	return out.String(), nil
}

// ruleOf is a decision in words.
func ruleOf(d auth.Decision) string {
	switch {
	case d.List == "":
		return "denied: no pattern of the token matches it"
	case d.Allowed:
		return fmt.Sprintf("allowed by %s %q", d.List, d.Pattern)
	}
	return fmt.Sprintf("denied by %s %q", d.List, d.Pattern)
}
