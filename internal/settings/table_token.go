// The rows of `c100k token`.

package settings

import "time"

// TokenOptions are the options of `c100k token`.
type TokenOptions struct {
	Mint struct {
		Key, Subject, ID, Issuer, Info                    string
		Audience                                          []string
		Subscribe, Publish, History, Presence, Deny, Join []string
		For                                               time.Duration
	}
	Show    struct{ Key string }
	Explain struct{ Subscribe, Publish, History, Presence []string }
}

// tokenRows are the settings of the commands that make and read tokens.
func tokenRows(o *TokenOptions) []Setting {
	mint, explain := &o.Mint, &o.Explain
	var rows []Setting
	add := func(command, scope string, some ...Setting) {
		for _, row := range some {
			row.Commands, row.Scope = []string{command}, scope
			rows = append(rows, row)
		}
	}
	add("token mint", "token-mint",
		Setting{Name: "key", Value: text(&mint.Key, "FILE"), Help: "secret of 32 bytes or more (HS256), or a private key in PEM (RS256, ES256, EdDSA)"},
		Setting{Name: "sub", Value: text(&mint.Subject, "SUBJECT"), Help: "the user"},
		Setting{Name: "for", Value: duration(&mint.For), Help: "how long the token is valid"},
		Setting{Name: "subscribe", Value: texts(&mint.Subscribe, "PATTERN,..."), Default: "none", Help: "topics that may be subscribed to"},
		Setting{Name: "publish", Value: texts(&mint.Publish, "PATTERN,..."), Default: "none", Help: "topics that may be published to"},
		Setting{Name: "history", Value: texts(&mint.History, "PATTERN,..."), Default: "none", Help: "topics whose kept messages may be read"},
		Setting{Name: "presence", Value: texts(&mint.Presence, "PATTERN,..."), Default: "none", Help: "topics whose members may be seen"},
		Setting{Name: "deny", Value: texts(&mint.Deny, "PATTERN,..."), Default: "none", Help: "topics that none of the others may open"},
		Setting{Name: "join", Value: texts(&mint.Join, "TOPIC,..."), Default: "none", Help: "topics that are subscribed to at connect"},
		Setting{Name: "info", Value: text(&mint.Info, "JSON"), Help: "what others see in presence"},
		Setting{Name: "jti", Value: text(&mint.ID, "ID"), Default: "none: a random one", Help: "ID of the token, by which it can be revoked"},
		Setting{Name: "issuer", Value: text(&mint.Issuer, "ISSUER"), Help: "iss"},
		Setting{Name: "audience", Value: texts(&mint.Audience, "AUDIENCE,..."), Default: "none", Help: "aud"},
	)
	add("token show", "token-show",
		Setting{Name: "key", Value: text(&o.Show.Key, "FILE"), Default: "none: the signature is not checked", Help: "key that verifies the token, as in serve --token-key"})
	add("token explain", "token-explain",
		Setting{Name: "subscribe", Value: texts(&explain.Subscribe, "TOPIC,..."), Default: "none", Help: "topic that the client wants to subscribe to"},
		Setting{Name: "publish", Value: texts(&explain.Publish, "TOPIC,..."), Default: "none", Help: "topic that it wants to publish to"},
		Setting{Name: "history", Value: texts(&explain.History, "TOPIC,..."), Default: "none", Help: "topic whose kept messages it wants"},
		Setting{Name: "presence", Value: texts(&explain.Presence, "TOPIC,..."), Default: "none", Help: "topic whose members it wants to see"})
	return rows
}
