package cloudtrail

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// wire is an event as LookupEvents sends it.
type wire struct {
	EventId, EventName, EventSource, ReadOnly, Username string
	EventTime                                           float64
	Resources                                           []struct{ ResourceType, ResourceName string }
	CloudTrailEvent                                     string
}

// recorded reads an event of testdata, as if it had happened at another time.
// Changes are put over its record.
func recorded(t *testing.T, name string, when time.Time, changes map[string]any) wire {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Resources       []struct{ ResourceType, ResourceName string }
		CloudTrailEvent map[string]any
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	record := file.CloudTrailEvent
	record["eventTime"] = when.UTC().Format(time.RFC3339)
	for key, value := range changes {
		record[key] = value
	}
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return wire{
		EventId: record["eventID"].(string), EventName: record["eventName"].(string), EventSource: record["eventSource"].(string),
		ReadOnly: fmt.Sprint(record["readOnly"]), EventTime: float64(when.Unix()),
		Resources: file.Resources, CloudTrailEvent: string(text),
	}
}

// request is what LookupEvents was asked.
type request struct {
	Region           string `json:"-"` // that it was signed for
	Key              string `json:"-"` // access key id, likewise
	LookupAttributes []struct{ AttributeKey, AttributeValue string }
	StartTime        float64
	EndTime          float64
	MaxResults       int
	NextToken        string
	at               time.Time
}

// fake is CloudTrail, with events, and STS. It answers as AWS does: JSON 1.1
// and, for STS, the query protocol.
type fake struct {
	events  []wire
	regions map[string][]wire                 // in place of events
	fail    func(n int, r request) (int, any) // status and body of the nth request; status 0: none
	denySTS bool

	mu    sync.Mutex
	asked []request
	roles []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("X-Amz-Target") == "" {
		f.sts(w, string(body))
		return
	}
	if got, want := r.Header.Get("X-Amz-Target"), "CloudTrail_20131101.LookupEvents"; got != want {
		http.Error(w, "target "+got, http.StatusNotFound)
		return
	}
	ask := request{at: time.Now()}
	if err := json.Unmarshal(body, &ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/cloudtrail/aws4_request, …
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope := strings.Split(credential, "/")
	ask.Key, ask.Region = scope[0], scope[2]
	f.mu.Lock()
	f.asked = append(f.asked, ask)
	n := len(f.asked)
	f.mu.Unlock()

	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	status, answer := 0, any(nil)
	if f.fail != nil {
		status, answer = f.fail(n, ask)
	}
	if status == 0 {
		status, answer = http.StatusOK, f.page(ask)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fake) page(ask request) any {
	events := f.events
	if f.regions != nil {
		events = f.regions[ask.Region]
	}
	var fit []wire
	for _, e := range events {
		named := slices.ContainsFunc(e.Resources, func(r struct{ ResourceType, ResourceName string }) bool {
			return r.ResourceName == ask.LookupAttributes[0].AttributeValue
		})
		if named && e.EventTime >= ask.StartTime && e.EventTime <= ask.EndTime {
			fit = append(fit, e)
		}
	}
	slices.SortStableFunc(fit, func(a, b wire) int { return int(b.EventTime - a.EventTime) })
	from, _ := strconv.Atoi(ask.NextToken)
	fit = fit[from:]
	out := map[string]any{"Events": fit}
	if len(fit) > ask.MaxResults {
		out["Events"], out["NextToken"] = fit[:ask.MaxResults], strconv.Itoa(from+ask.MaxResults)
	}
	return out
}

func (f *fake) sts(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/xml")
	switch {
	case f.denySTS:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`)
	case strings.Contains(body, "Action=AssumeRole"):
		f.mu.Lock()
		f.roles = append(f.roles, body)
		f.mu.Unlock()
		fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAOTHER</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	default:
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::111122223333:assumed-role/weir/i-now</Arn><UserId>AROA:i-now</UserId><Account>111122223333</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}
}

func (f *fake) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// trail asks a fake over the network.
func trail(t *testing.T, f *fake, o Options) *Trail {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	o.Endpoint = server.URL
	return newTrail(aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAWEIR", "secret", "")}, o)
}

// inside asks a fake without a network, so that time can be a bubble's.
func inside(f http.Handler, o Options) *Trail {
	return newTrail(aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAWEIR", "secret", ""),
		HTTPClient: &http.Client{Transport: direct{f}},
	}, o)
}

// direct is a way to a handler without a network.
type direct struct{ to http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	d.to.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}
