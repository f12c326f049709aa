package integration

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder stands between weir and AWS and notes which rights the calls need,
// and what they cost.
type recorder struct {
	mu      sync.Mutex
	calls   map[string]int     // by operation
	done    map[string]int     // the same, once answered
	units   map[string]float64 // of DynamoDB's capacity, by "read" and "write"
	rights  map[string]string  // IAM action → an operation that needs it
	unknown []string
	refuse  func(operation string) bool
}

func newRecorder() *recorder {
	return &recorder{calls: map[string]int{}, done: map[string]int{}, units: map[string]float64{}, rights: map[string]string{}}
}

// before returns the URL of a proxy that records, and then asks upstream.
func (r *recorder) before(t *testing.T, upstream string) string {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		// A caller that has gone, as at the end of each test.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ModifyResponse: func(resp *http.Response) error {
			if !isTable(resp.Request) {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(bytes.NewReader(body))
			if err == nil {
				r.charge(resp.Request, body)
			}
			return err
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		operation, refused := r.note(req)
		if refused {
			http.Error(w, operation+" is refused", http.StatusForbidden)
			return
		}
		if isTable(req) {
			if err := askPrice(req); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		proxy.ServeHTTP(w, req)
		r.mu.Lock()
		r.done[operation]++
		r.mu.Unlock()
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (r *recorder) note(req *http.Request) (operation string, refused bool) {
	operation, rights := needs(req)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[operation]++
	if len(rights) == 0 {
		r.unknown = append(r.unknown, req.Method+" "+req.URL.String()+" "+operation)
	}
	for _, right := range rights {
		r.rights[right] = operation
	}
	return operation, r.refuse != nil && r.refuse(operation)
}

// askPrice has DynamoDB say what a call costs.
func askPrice(req *http.Request) error {
	var in map[string]json.RawMessage
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		return err
	}
	if _, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), "."); operation != "DescribeTable" {
		in["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	}
	body, err := json.Marshal(in)
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return err
}

// charge notes what a call has cost.
func (r *recorder) charge(req *http.Request, answer []byte) {
	type consumed struct{ CapacityUnits float64 }
	var out struct{ ConsumedCapacity json.RawMessage }
	if json.Unmarshal(answer, &out) != nil || len(out.ConsumedCapacity) == 0 {
		return
	}
	var all []consumed
	if json.Unmarshal(out.ConsumedCapacity, &all) != nil {
		all = make([]consumed, 1)
		if json.Unmarshal(out.ConsumedCapacity, &all[0]) != nil {
			return
		}
	}
	kind := "write"
	if target := req.Header.Get("X-Amz-Target"); strings.Contains(target, "Get") || strings.Contains(target, "Query") {
		kind = "read"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range all {
		// DynamoDB Local asks nothing for finding nothing; DynamoDB does.
		r.units[kind] += max(c.CapacityUnits, 1)
	}
}

func isTable(req *http.Request) bool {
	return strings.HasPrefix(req.Header.Get("X-Amz-Target"), "DynamoDB_")
}

func (r *recorder) taken() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.calls)
}

// await waits until an operation was asked for, and lets it be answered.
func (r *recorder) await(t *testing.T, operation string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-deadline:
			t.Fatalf("nobody asked for %s", operation)
		case <-tick.C:
			if r.answered(operation) {
				return
			}
		}
	}
}

func (r *recorder) answered(operation string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[operation] > 0
}

// needs says which operation a request is, and which rights AWS asks for it:
// the service authorization reference of DynamoDB, SQS, KMS and S3, and for
// transactions DynamoDB's page "IAM and transactions".
func needs(req *http.Request) (operation string, rights []string) {
	service, operation, ok := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	if !ok {
		return objectCall(req)
	}
	switch service {
	case "DynamoDB_20120810":
		return operation, tableRights(operation, req)
	case "AmazonSQS":
		return operation, []string{"sqs:" + strings.TrimSuffix(operation, "Batch")}
	case "TrentService":
		return operation, []string{"kms:" + operation}
	}
	return operation, nil
}

func tableRights(operation string, req *http.Request) []string {
	switch operation {
	case "TransactGetItems":
		return []string{"dynamodb:GetItem"}
	case "TransactWriteItems":
		body, err := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		var in struct{ TransactItems []map[string]any }
		if err != nil || json.Unmarshal(body, &in) != nil {
			return nil
		}
		var rights []string
		for _, item := range in.TransactItems {
			for part := range item {
				rights = append(rights, "dynamodb:"+part+"Item") // Put, Update, Delete, ConditionCheck
			}
		}
		return rights
	}
	return []string{"dynamodb:" + operation}
}

func objectCall(req *http.Request) (operation string, rights []string) {
	query := req.URL.Query()
	_, object, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	ask := req.Method
	switch {
	case object == "" && ask == http.MethodGet && query.Get("list-type") == "2":
		return "ListObjectsV2", []string{"s3:ListBucket"}
	case object == "" && ask == http.MethodHead:
		return "HeadBucket", []string{"s3:ListBucket"}
	case object == "" && ask == http.MethodPost && query.Has("delete"):
		return "DeleteObjects", []string{"s3:DeleteObject"}
	case object == "":
		return ask + " bucket", nil
	case ask == http.MethodGet || ask == http.MethodHead:
		return ask[:1] + strings.ToLower(ask[1:]) + "Object", []string{"s3:GetObject"}
	case ask == http.MethodPut && req.Header.Get("X-Amz-Copy-Source") != "":
		return "CopyObject", []string{"s3:GetObject", "s3:PutObject"}
	case ask == http.MethodPut && query.Has("uploadId"):
		return "UploadPart", []string{"s3:PutObject"}
	case ask == http.MethodPut:
		return "PutObject", []string{"s3:PutObject"}
	case ask == http.MethodPost && query.Has("uploads"):
		return "CreateMultipartUpload", []string{"s3:PutObject"}
	case ask == http.MethodPost && query.Has("uploadId"):
		return "CompleteMultipartUpload", []string{"s3:PutObject"}
	case ask == http.MethodDelete && query.Has("uploadId"):
		return "AbortMultipartUpload", []string{"s3:AbortMultipartUpload"}
	case ask == http.MethodDelete:
		return "DeleteObject", []string{"s3:DeleteObject"}
	}
	return ask + " object", nil
}
