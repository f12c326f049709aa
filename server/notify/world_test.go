package notify

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
	"weir/drift/notice"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", file, diff)
	}
}

const (
	secret  = "a secret of weir, at least 16 bytes"
	hostile = "<!here> <!channel> @channel @here #general `code` ```\n``` *b* _i_ ~s~ > q & &lt;!here&gt; <https://evil.example|ok> https://evil.example :bomb: <@U024BE7LH>\u202e\u200b\x00\r"
)

func full() notice.Notice {
	return notice.Notice{
		ID: "0f343b0931126a20f133d67c2b018a3b", Number: 12, Target: "ops", Repo: "acme/infra",
		At: time.Date(2026, 11, 21, 3, 29, 5, 0, time.UTC), Page: "https://weir.example.com/drift?a=1&b=2", Commit: "3f2a91c04b7d5e6f8a9b0c1d2e3f405162738495",
		Least: finding.Medium,
		Projects: []notice.Change{
			{
				Project: "envs/prod", Dir: "envs/prod", Workspace: "default", What: notice.Differs, Severity: finding.High,
				Findings: []notice.Count{{Kind: finding.Deleted, Count: 1}, {Kind: finding.Merged, Count: 2}}, Hidden: 1, Below: 3,
				Issue: &notice.Issue{Number: 41, URL: "https://github.com/acme/infra/issues/41"},
			},
			{Project: "network", Dir: "envs/net", Workspace: "eu", What: notice.Failed, Failure: "Error: Failed to query available provider packages\n\n  could not reach <registry> & co"},
			{Project: "envs/stage@eu", Dir: "envs/stage", Workspace: "eu", What: notice.Otherwise, Severity: finding.Medium, Findings: []notice.Count{{Kind: finding.Unknown, Count: 1}}},
			{Project: "envs/dev", Dir: "envs/dev", Workspace: "default", What: notice.InOrder, Below: 2, Issue: &notice.Issue{Number: 40}},
			{Project: "envs/old", What: notice.Gone},
			{What: notice.Gone},
		},
		More: 26,
	}
}

// bad is a notice of which everything that a repository can say is hostile.
func bad() notice.Notice {
	n := full()
	n.Projects = []notice.Change{
		{Project: hostile, Dir: hostile + "/x", Workspace: hostile, What: notice.Failed, Failure: hostile + "\n" + hostile, Issue: &notice.Issue{Number: 1, URL: "https://github.com/>" + hostile}},
		{Project: "`", Dir: "`", What: notice.Differs, Severity: finding.Severity(hostile), Findings: []notice.Count{{Kind: finding.Kind(hostile), Count: 1}}},
		{Project: " \u200b ", What: notice.What(hostile)},
		{Project: strings.Repeat("&", 5000), Dir: strings.Repeat("😀", 5000), What: notice.Failed, Failure: strings.Repeat("<\n", 5000)},
	}
	return n
}

// serve starts a server and returns a sender of a format to it.
func serve(t *testing.T, format Format, handle http.HandlerFunc) *Sender {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return sender(t, format, server.URL+"/services/T0000/B0000/xoxo_secret_path?token=hush-hush", nil)
}

func sender(t *testing.T, format Format, url string, client *http.Client) *Sender {
	t.Helper()
	target := Target{Name: "ops", Format: format, URL: Secret(url)}
	if format == JSON {
		target.Secret = secret
	}
	s, err := New(target, client)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quiet fails where a text holds something of a URL or a secret.
func quiet(t *testing.T, text string) {
	t.Helper()
	for _, part := range []string{"secret", "T0000", "B0000", "xoxo", "hush", "services", "127.0.0.1", "user", "http:", "https:"} {
		if strings.Contains(text, part) {
			t.Errorf("%q shows %q", text, part)
		}
	}
}
