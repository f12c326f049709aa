package cloudtrail

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"weir/drift/cloudtrail/calls"
)

// event is what is kept of one event: nothing of what a call was sent but the
// names of its parameters, and what its identifying ones say.
type event struct {
	id        string
	name      string // of the call, without a version
	source    string // the service, such as ec2
	when      time.Time
	who, how  string
	arns      []string // of the caller and of the role it had
	key       string   // access key id
	resources []string // names of what the event is about

	params  []string            // their names, and those of attributes that they list, as plain writes them; each once
	parts   map[string][]string // values of the parameters that identify parts
	unnamed bool                // CloudTrail left the parameters out
}

// record is the part that matters of an event's own JSON: "CloudTrail record
// contents for management, data, and network activity events" and "CloudTrail
// userIdentity element", AWS CloudTrail User Guide.
type record struct {
	EventType   string          `json:"eventType"`
	EventSource string          `json:"eventSource"`
	EventName   string          `json:"eventName"`
	ErrorCode   string          `json:"errorCode"`
	ReadOnly    json.RawMessage `json:"readOnly"`
	UserAgent   string          `json:"userAgent"`
	FromConsole json.RawMessage `json:"sessionCredentialFromConsole"`
	Parameters  json.RawMessage `json:"requestParameters"`
	Identity    identity        `json:"userIdentity"`
}

type identity struct {
	Type       string `json:"type"`
	ARN        string `json:"arn"`
	AccountID  string `json:"accountId"`
	KeyID      string `json:"accessKeyId"`
	UserName   string `json:"userName"`
	InvokedBy  string `json:"invokedBy"`
	OnBehalfOf struct {
		UserID string `json:"userId"`
	} `json:"onBehalfOf"`
	Session struct {
		SourceIdentity string `json:"sourceIdentity"`
		Issuer         struct {
			Type     string `json:"type"`
			ARN      string `json:"arn"`
			UserName string `json:"userName"`
		} `json:"sessionIssuer"`
	} `json:"sessionContext"`
}

// parse reads one event. It reports false for those that changed nothing: reads,
// calls that failed, sign-ins, and what cannot be read.
func parse(e types.Event) (event, bool) {
	var r record
	if err := json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &r); err != nil {
		return event{}, false
	}
	if isTrue(r.ReadOnly) || aws.ToString(e.ReadOnly) == "true" || r.ErrorCode != "" || r.EventType == "AwsConsoleSignIn" {
		return event{}, false
	}
	source, _, _ := strings.Cut(orElse(r.EventSource, aws.ToString(e.EventSource)), ".")
	out := event{
		id: aws.ToString(e.EventId), name: unversioned(orElse(r.EventName, aws.ToString(e.EventName))), source: source,
		when: aws.ToTime(e.EventTime).UTC(), who: r.who(), how: r.how(),
		arns: []string{r.Identity.ARN, r.Identity.Session.Issuer.ARN}, key: r.Identity.KeyID,
	}
	for _, resource := range e.Resources {
		out.resources = append(out.resources, aws.ToString(resource.ResourceName))
	}
	var params any
	if err := json.Unmarshal(r.Parameters, &params); err != nil || params == nil {
		out.unnamed = true
	}
	out.parts = map[string][]string{}
	out.gather(params)
	return out, out.id != "" && !out.when.IsZero()
}

// isTrue reports whether a field is true, or the word: records have both.
func isTrue(raw json.RawMessage) bool { return strings.Trim(string(raw), `"`) == "true" }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// unversioned takes off the version that the names of some calls end with, such
// as UpdateFunctionCode20150331v2 and UpdateDistribution2020_05_31.
func unversioned(name string) string {
	short := name
	if i := strings.LastIndex(short, "v"); i > 8 && strings.Trim(short[i+1:], "0123456789") == "" {
		short = short[:i]
	}
	digits := strings.TrimRight(short, "0123456789_")
	if n := len(short) - len(digits); n == 8 || n == 10 {
		return digits
	}
	return name
}

// maxParams is how many names of parameters are kept of an event.
const maxParams = 300

// gather notes the names of parameters, and the values of the few that identify
// something. Some calls take attributes as a list of name and value, or one by
// name: those names count as well.
func (e *event) gather(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			e.param(key)
			name := text(value)
			switch key {
			case "attributeName", "attribute", "key", "parameterName":
				e.param(name)
			}
			if calls.Identifies(key) {
				if name != "" {
					e.parts[key] = append(e.parts[key], name)
				} else if list, ok := value.([]any); ok {
					for _, item := range list {
						e.parts[key] = append(e.parts[key], text(item))
					}
				}
			}
			e.gather(value)
		}
	case []any:
		for _, item := range v {
			e.gather(item)
		}
	}
}

func (e *event) param(name string) {
	if name = plain(name); name != "" && len(name) <= 100 && len(e.params) < maxParams && !slices.Contains(e.params, name) {
		e.params = append(e.params, name)
	}
}

// plain is a name in lower case without what separates its words.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// who names the caller for people.
func (r record) who() string {
	id := r.Identity
	name := id.Type
	switch id.Type {
	case "Root":
		name = "the root user of " + id.AccountID
	case "IAMUser":
		name = "user " + orElse(id.UserName, last(id.ARN))
	case "AssumedRole":
		// arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
		name = last(id.ARN) + " as role " + id.Session.Issuer.UserName
		if s := id.Session.SourceIdentity; s != "" {
			name = s + " as role " + id.Session.Issuer.UserName
		}
	case "FederatedUser":
		name = last(id.ARN) + " as user " + id.Session.Issuer.UserName
	case "SAMLUser", "WebIdentityUser":
		name = "user " + id.UserName
	case "IdentityCenterUser":
		name = "Identity Center user " + id.OnBehalfOf.UserID
	case "AWSService":
		return clean(id.InvokedBy)
	case "AWSAccount":
		name = "somebody of account " + id.AccountID
	case "":
		name = "somebody"
	}
	if r.service() {
		name += ", through " + id.InvokedBy
	}
	return clean(name)
}

// last is what stands behind the last slash or colon.
func last(arn string) string { return arn[strings.LastIndexAny(arn, "/:")+1:] }

// clean takes off what a name for people has no use for: callers choose the
// names of their sessions.
func clean(name string) string {
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(name); len(runes) > 200 {
		name = string(runes[:200]) + "…"
	}
	return name
}

// service reports whether a service of AWS made the call, for itself or for
// somebody. "AWS Internal" stands for the console's own backends as well.
func (r record) service() bool {
	return r.Identity.Type == "AWSService" || strings.HasSuffix(r.Identity.InvokedBy, ".amazonaws.com") || r.EventType == "AwsServiceEvent"
}

// how tells the tool apart: service, terraform, cli, console or sdk. The agents
// of console and command line are those of the User Guide's "userAgent"; the
// AWS provider names itself with terraform-provider-aws. Callers choose their
// agent: it is a hint for people and decides nothing.
func (r record) how() string {
	agent := strings.ToLower(r.UserAgent)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(agent, w) })
	}
	switch {
	case r.service():
		return "service"
	case has("terraform", "opentofu"):
		return "terraform"
	case has("aws-cli/"):
		return "cli"
	case isTrue(r.FromConsole), r.EventType == "AwsConsoleAction",
		has("console.amazonaws.com", "signin.amazonaws.com", "s3console", "aws internal", "mozilla/"),
		strings.HasPrefix(agent, "console.") && strings.HasSuffix(agent, ".amazonaws.com"), // one of a service, as console.ec2.amazonaws.com
		strings.Contains(agent, "console") && strings.Contains(agent, "aws-internal/"):
		return "console"
	default:
		return "sdk"
	}
}
