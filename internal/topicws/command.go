// The requests of a c100k.v1 client: one JSON object each, scanned in place.

package topicws

import "c100k/internal/jsontext"

// Verb is what a command asks for.
type Verb uint8

// The verbs of c100k.v1, by the value of "type".
const (
	VerbNone Verb = iota
	VerbSubscribe
	VerbUnsubscribe
	VerbPublish
	VerbPing
	VerbConnect
	VerbRefresh
	VerbPresence
)

// Command is one request. Its slices point into the bytes that were parsed, and are valid as long
// as those.
type Command struct {
	Verb   Verb
	ID     []byte   // JSON text of the id, to be echoed; nil when the command has none
	Topics [][]byte // subscribe and unsubscribe: the names, decoded; the slice itself is used again by the next ParseCommand
	Wishes []Wish   // subscribe: where each of Topics begins; used again as Topics is
	Topic  []byte   // publish and presence: the name, decoded
	Data   []byte   // publish: JSON text of the value, verbatim
	Token  []byte   // connect and refresh: the token, decoded
	Watch  Watch    // presence
	After  []byte   // presence: the name before the page, decoded
}

// Code is the machine-readable reason of an error message; part of the protocol.
type Code string

// The codes of c100k.v1's error messages.
const (
	CodeNone          Code = ""
	CodeBadRequest    Code = "bad_request"     // not JSON, not an object, a member that is missing, unknown, repeated or of the wrong type
	CodeUnknownType   Code = "unknown_type"    // "type" is none of the verbs
	CodeInvalidTopic  Code = "invalid_topic"   // a topic name that no topic can have
	CodeTooManyTopics Code = "too_many_topics" // more than one command or one connection may have
	CodeUnauthorized  Code = "unauthorized"    // a token that is not valid
	CodeForbidden     Code = "forbidden"       // this connection has no right to it
	CodeOverloaded    Code = "overloaded"      // the node has too much of something: try again later
	CodeUnavailable   Code = "unavailable"     // the node could not pass the message on: try again later
)

// Refusal says why a command is not done. The zero value refuses nothing.
type Refusal struct {
	Code    Code
	Message string // for a person
	Detail  []byte // what of the client's input it is about, quoted behind Message (cut at DetailBytesMax); may be nil
	At      int    // offset in the command, where Code is CodeBadRequest and the text is not JSON; else -1
}

func refuse(code Code, message string, detail []byte) Refusal {
	return Refusal{Code: code, Message: message, Detail: detail, At: -1}
}

// member is one of the keys a command may have.
type member uint8

const (
	memberType member = iota
	memberID
	memberTopics
	memberTopic
	memberData
	memberToken
	memberWatch
	memberAfter
	memberCount
)

func memberOf(name []byte) (member, bool) {
	switch string(name) {
	case "type":
		return memberType, true
	case "id":
		return memberID, true
	case "topics":
		return memberTopics, true
	case "topic":
		return memberTopic, true
	case "data":
		return memberData, true
	case "token":
		return memberToken, true
	case "watch":
		return memberWatch, true
	case "after":
		return memberAfter, true
	}
	return 0, false
}

// members holds the raw JSON text of each member that is there.
type members [memberCount][]byte

// ParseCommand parses one command. p must be valid UTF-8 (a text message is: RFC 6455, 5.6), and
// names in it that are written with escapes are decoded in place. With a refusal, cmd.ID is still
// the command's id if that could be read. Topic names are decoded, not judged. It allocates nothing
// but, once, the array behind cmd.Topics.
func ParseCommand(p []byte, cmd *Command) Refusal {
	*cmd = Command{Topics: cmd.Topics[:0], Wishes: cmd.Wishes[:0]}
	var m members
	bad := m.scan(p)
	if id := m[memberID]; id != nil {
		if r := checkID(id); r.Code == CodeNone {
			cmd.ID = id
		} else if bad.Code == CodeNone {
			bad = r
		}
	}
	if bad.Code != CodeNone {
		return bad
	}
	return cmd.interpret(&m)
}

// scan splits p into its members. Everything is scanned to the end, whatever was found on the way:
// the id, for the answer, may come last.
func (m *members) scan(p []byte) Refusal {
	i := jsontext.SkipSpace(p, 0)
	if i >= len(p) || p[i] != '{' {
		return refuse(CodeBadRequest, "a command is a JSON object", nil)
	}
	var first Refusal
	i = jsontext.SkipSpace(p, i+1)
	if i < len(p) && p[i] == '}' {
		return end(p, i+1, first)
	}
	for {
		from, to, next, bad := jsontext.SkipName(p, i)
		if bad != "" {
			return notJSON(bad, next)
		}
		if i, bad = jsontext.SkipValue(p, next, 1); bad != "" {
			return notJSON(bad, i)
		}
		if r := m.put(p[from:to], p[next:i:i]); first.Code == CodeNone {
			first = r
		}
		var last bool
		if i, last, bad = jsontext.SkipComma(p, i, '}'); bad != "" {
			return notJSON(bad, i)
		}
		if last {
			return end(p, i, first)
		}
	}
}

// end checks that nothing follows the command at p[i:].
func end(p []byte, i int, first Refusal) Refusal {
	if i = jsontext.SkipSpace(p, i); i < len(p) {
		return notJSON(jsontext.FaultTrailing, i)
	}
	return first
}

func notJSON(what jsontext.Fault, at int) Refusal {
	return Refusal{Code: CodeBadRequest, Message: string(what), At: at}
}

// put files a member's value under its name.
func (m *members) put(raw, value []byte) Refusal {
	name, bad := jsontext.Unescape(raw)
	if bad != "" {
		return refuse(CodeBadRequest, string(bad)+" in a name", nil)
	}
	k, known := memberOf(name)
	if !known {
		return refuse(CodeBadRequest, "unknown member", name)
	}
	if m[k] != nil {
		// Which of two would count depends on the reader (RFC 8259, 4), so neither does, not even
		// for the answer.
		m[k] = value[:0]
		return refuse(CodeBadRequest, "a member that stands there twice", name)
	}
	m[k] = value
	return Refusal{}
}

// checkID accepts a number or a string of at most IDBytesMax bytes.
func checkID(id []byte) Refusal {
	switch {
	case len(id) == 0: // repeated; scan has said so
		return refuse(CodeBadRequest, "two ids", nil)
	case id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9'):
		return refuse(CodeBadRequest, `"id" must be a number or a string`, nil)
	case len(id) > IDBytesMax:
		return refuse(CodeBadRequest, `"id" must not be longer than 64 bytes`, nil)
	}
	return Refusal{}
}

// interpret reads the members as the command that "type" names.
func (cmd *Command) interpret(m *members) Refusal {
	name, ok := stringOf(m[memberType])
	if !ok {
		return refuse(CodeBadRequest, `"type" must be a string`, nil)
	}
	if string(name) == "presence" {
		cmd.Verb = VerbPresence
		return cmd.takePresence(m)
	}
	if m[memberWatch] != nil || m[memberAfter] != nil {
		return refuse(CodeBadRequest, `"watch" and "after" belong to "presence"`, nil)
	}
	switch string(name) {
	case "subscribe":
		cmd.Verb = VerbSubscribe
		return cmd.takeTopics(m)
	case "unsubscribe":
		cmd.Verb = VerbUnsubscribe
		return cmd.takeTopics(m)
	case "publish":
		cmd.Verb = VerbPublish
		return cmd.takePublish(m)
	case "ping":
		cmd.Verb = VerbPing
		if m[memberTopics] != nil || m[memberTopic] != nil || m[memberData] != nil || m[memberToken] != nil {
			return refuse(CodeBadRequest, `"ping" takes no member but "id"`, nil)
		}
		return Refusal{}
	case "connect":
		cmd.Verb = VerbConnect
		return cmd.takeToken(m)
	case "refresh":
		cmd.Verb = VerbRefresh
		return cmd.takeToken(m)
	}
	return refuse(CodeUnknownType, `"type" must be subscribe, unsubscribe, publish, ping, presence, connect or refresh, not`, name)
}

// takeToken reads "token".
func (cmd *Command) takeToken(m *members) Refusal {
	if m[memberTopics] != nil || m[memberTopic] != nil || m[memberData] != nil {
		return refuse(CodeBadRequest, `it takes no member but "token" and "id"`, nil)
	}
	token, ok := stringOf(m[memberToken])
	if !ok {
		return refuse(CodeBadRequest, `"token" must be a string`, nil)
	}
	cmd.Token = token
	return Refusal{}
}

// takePublish reads "topic" and "data".
func (cmd *Command) takePublish(m *members) Refusal {
	if m[memberTopics] != nil || m[memberToken] != nil {
		return refuse(CodeBadRequest, `"publish" takes one "topic", not "topics", and "data"`, nil)
	}
	topic, ok := stringOf(m[memberTopic])
	if !ok {
		return refuse(CodeBadRequest, `"topic" must be a string`, nil)
	}
	if m[memberData] == nil {
		return refuse(CodeBadRequest, `"publish" needs "data"`, nil)
	}
	cmd.Topic, cmd.Data = topic, m[memberData]
	return Refusal{}
}

// takeTopics reads "topics", a JSON array that scan found to be well-formed.
func (cmd *Command) takeTopics(m *members) Refusal {
	if m[memberTopic] != nil || m[memberData] != nil || m[memberToken] != nil {
		return refuse(CodeBadRequest, `it takes no member but "topics" and "id"`, nil)
	}
	p := m[memberTopics]
	if len(p) == 0 || p[0] != '[' {
		return refuse(CodeBadRequest, `"topics" must be an array of strings`, nil)
	}
	i := jsontext.SkipSpace(p, 1)
	if p[i] == ']' {
		return refuse(CodeBadRequest, `"topics" is empty`, nil)
	}
	for last := false; !last; {
		i = jsontext.SkipSpace(p, i)
		end, _ := jsontext.SkipValue(p, i, 2)
		topic, ok := stringOf(p[i:end])
		var wish Wish
		if !ok && p[i] == '{' && cmd.Verb == VerbSubscribe {
			var no Refusal
			if topic, wish, no = takeTopic(p[i:end]); no.Code != CodeNone {
				return no
			}
		} else if !ok {
			return refuse(CodeBadRequest, `"topics" must be an array of strings`, nil)
		}
		if len(cmd.Topics) == TopicsPerCommandMax {
			return refuse(CodeTooManyTopics, "one command may name at most 100 topics", nil)
		}
		cmd.Topics, cmd.Wishes = append(cmd.Topics, topic), append(cmd.Wishes, wish)
		i, last, _ = jsontext.SkipComma(p, end, ']')
	}
	return Refusal{}
}

// stringOf decodes, in place, the JSON text of a value if that is a string.
func stringOf(p []byte) ([]byte, bool) {
	if len(p) == 0 || p[0] != '"' {
		return nil, false
	}
	s, bad := jsontext.Unescape(p[1 : len(p)-1])
	return s, bad == ""
}
