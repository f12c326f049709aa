package artifact

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cloud is as much of S3 and KMS as artifacts use: objects of one bucket, and
// a key that "encrypts" by turning bytes around.
type cloud struct {
	mu      sync.Mutex
	objects map[string][]byte
	kms     []string // operations asked for
	locked  bool     // KMS refuses
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if op := r.Header.Get("X-Amz-Target"); op != "" {
		c.serveKMS(w, r, strings.TrimPrefix(op, "TrentService."))
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		type object struct {
			Key, LastModified string
			Size              int
		}
		var list struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Contents []object
		}
		for k := range c.objects {
			if strings.HasPrefix(k, r.URL.Query().Get("prefix")) {
				list.Contents = append(list.Contents, object{k, "2026-01-02T03:04:05Z", len(c.objects[k])})
			}
		}
		_ = xml.NewEncoder(w).Encode(list)
	case r.Method == http.MethodPut:
		b, _ := io.ReadAll(r.Body)
		c.objects[key] = b
	case r.Method == http.MethodDelete:
		delete(c.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case c.objects[key] == nil:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
	default:
		w.Header().Set("ETag", fmt.Sprintf("%q", digestOf(c.objects[key])))
		_, _ = w.Write(c.objects[key])
	}
}

func (c *cloud) serveKMS(w http.ResponseWriter, r *http.Request, op string) {
	c.kms = append(c.kms, op)
	var in struct{ Plaintext, CiphertextBlob []byte }
	_ = json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fail := func(kind string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind})
	}
	turned := func(b []byte) string {
		b = bytes.Clone(b)
		slices.Reverse(b)
		return base64.StdEncoding.EncodeToString(b)
	}
	switch {
	case c.locked:
		fail("DisabledException")
	case op == "Encrypt":
		_ = json.NewEncoder(w).Encode(map[string]string{"CiphertextBlob": turned(append([]byte("KMS:"), in.Plaintext...))})
	case !bytes.HasSuffix(in.CiphertextBlob, []byte(":SMK")):
		fail("InvalidCiphertextException")
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"Plaintext": turned(bytes.TrimSuffix(in.CiphertextBlob, []byte(":SMK")))})
	}
}

func TestS3AndKMS(t *testing.T) {
	for _, k := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL"} {
		t.Setenv(k, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	c := &cloud{objects: map[string][]byte{}}
	srv := httptest.NewServer(c)
	defer srv.Close()

	ctx := context.Background()
	a, err := Open(ctx, Config{
		Bucket:  "s3://bucket?region=eu-west-1&use_path_style=true&request_checksum_calculation=when_required&response_checksum_validation=when_required&endpoint=" + srv.URL,
		SealKey: "awskms:///alias/weir?region=eu-west-1&endpoint=" + srv.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if len(c.kms) != 0 {
		t.Errorf("opening asked KMS to %q", c.kms)
	}
	if err := a.Check(ctx); err != nil {
		t.Error(err)
	}

	data := []byte("plan with a secret in it")
	digest, err := a.Put(ctx, acme, data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(ctx, Scope{"acme/app", 12}, data); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Get(ctx, acme, digest); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got %q, %v", got, err)
	}
	object := c.objects["acme/app/1/"+digest]
	if object == nil || bytes.Contains(object, []byte("secret")) {
		t.Errorf("stored %q, want it sealed under its key", object)
	}

	// A key that refuses is no damage: the artifact may be read later.
	c.locked = true
	var damaged *DamagedError
	if _, err := a.Get(ctx, acme, digest); err == nil || errors.As(err, &damaged) {
		t.Errorf("with a disabled key: %v, want an error that is no DamagedError", err)
	}
	c.locked = false
	object[headerSize] ^= 1
	object[headerSize+dataKeySize+3] ^= 1 // the end of KMS's envelope
	if _, err := a.Get(ctx, acme, digest); !errors.As(err, &damaged) {
		t.Errorf("with a changed key: %v, want a DamagedError", err)
	}

	// Whether a part has grown is learnt without asking for it, or KMS.
	parts := Parts{a}
	if err := parts.Put(ctx, "RUN", 0, data); err != nil {
		t.Fatal(err)
	}
	got, etag, err := parts.Get(ctx, "RUN", 0, "")
	if err != nil || !bytes.Equal(got, data) || etag == "" {
		t.Errorf("part: %q, %q, %v", got, etag, err)
	}
	asked := len(c.kms)
	if got, again, err := parts.Get(ctx, "RUN", 0, etag); err != nil || got != nil || again != etag || len(c.kms) != asked {
		t.Errorf("the part again: %q, %q, %v, and KMS was asked %q", got, again, err, c.kms[asked:])
	}
	if got, _, err := parts.Get(ctx, "RUN", 1, etag); err != nil || got != nil {
		t.Errorf("a part that is not there: %q, %v", got, err)
	}
	if err := parts.Remove(ctx, "RUN"); err != nil {
		t.Error(err)
	}

	if err := a.Remove(ctx, acme); err != nil {
		t.Fatal(err)
	}
	var missing *NotFoundError
	if _, err := a.Get(ctx, acme, digest); !errors.As(err, &missing) {
		t.Errorf("after Remove: %v, want a NotFoundError", err)
	}
	if len(c.objects) != 1 {
		t.Errorf("%d objects left, want the other pull request's", len(c.objects))
	}
}

// S3 and KMS that take requests and never answer once held a job for ever, with
// its lease renewed and all that waited behind it.
func TestSilence(t *testing.T) {
	for _, k := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL"} {
		t.Setenv(k, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	ending := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ending }))
	defer srv.Close()
	defer close(ending)
	for name, c := range map[string]Config{
		"S3":  {Bucket: "s3://bucket?region=eu-west-1&use_path_style=true&endpoint=" + srv.URL, SealKey: "file://" + t.TempDir() + "/seal.key"},
		"KMS": {Bucket: "file://" + t.TempDir(), SealKey: "awskms:///alias/weir?region=eu-west-1&endpoint=" + srv.URL},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background() // as a job's, which has no end of its own
			a, err := Open(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = a.Close() }()
			a.patience = 50 * time.Millisecond
			calls := map[string]func() error{
				"Check": func() error { return a.Check(ctx) },
				"Put":   func() error { _, err := a.Put(ctx, acme, []byte("plan")); return err },
				"part":  func() error { return Parts{a}.Put(ctx, "RUN", 0, []byte("log")) },
			}
			if name == "S3" {
				calls["Get"] = func() error { _, err := a.Get(ctx, acme, digestOf([]byte("plan"))); return err }
				calls["Remove"] = func() error { return a.Remove(ctx, acme) }
				calls["part back"] = func() error { _, _, err := Parts{a}.Get(ctx, "RUN", 0, ""); return err }
				calls["runs"] = func() error { _, err := Parts{a}.Runs(ctx); return err }
			} else {
				calls["Seal"] = func() error { _, err := a.Seal(ctx, []byte("key")); return err }
				calls["Unseal"] = func() error { _, err := a.Unseal(ctx, []byte("key")); return err }
			}
			for what, call := range calls {
				var missing *NotFoundError
				var damaged *DamagedError
				if err := call(); err == nil || errors.As(err, &missing) || errors.As(err, &damaged) {
					t.Errorf("%s: %v, want an error that says nothing about the artifact", what, err)
				}
			}
		})
	}
}
