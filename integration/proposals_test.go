package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
	"weir/integration/sandbox"
	"weir/server/github"
)

// TestIssuesAndProposals has weir's client do what the commands of drift need,
// as an App and with a token.
func TestIssuesAndProposals(t *testing.T) {
	for name, app := range map[string]bool{"App": true, "token": false} {
		t.Run(name, func(t *testing.T) {
			c := sandbox.Config{Dir: t.TempDir()}
			if app {
				c.App = &sandbox.App{}
			}
			box, err := sandbox.Start(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = box.Close() })
			if _, err := box.CreateRepo("acme", "infra", map[string]string{"prod/main.tf": "# one\n", "prod/old.tf": "# old\n"}); err != nil {
				t.Fatal(err)
			}
			for _, login := range []string{"alice", "weir-machine"} {
				if err := box.Grant(repo, login, "write"); err != nil {
					t.Fatal(err)
				}
			}
			config := github.Config{BaseURL: box.APIURL(), Token: github.StaticToken(box.Token("weir-machine"))}
			if app {
				if _, err := box.Install("acme"); err != nil {
					t.Fatal(err)
				}
				known, _ := box.App()
				config.App, config.Token = &github.App{ID: known.ID, PrivateKey: box.AppKey()}, nil
			}
			g, err := github.New(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(g.Close)
			issueStory(t, box, g)
			proposalStory(t, box, g)
		})
	}
}

func issueStory(t *testing.T, box *sandbox.Sandbox, g *github.Client) {
	ctx := t.Context()
	body := finding.Marker("prod") + "\nIt drifted."
	opened, err := g.OpenIssue(ctx, repo, finding.Issue{Title: "Drift in prod", Body: body, Assignees: []string{"alice", "nobody-here"}})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := g.OpenIssue(ctx, repo, finding.Issue{Title: "Drift in prod", Body: body}); err != nil || again.Number != opened.Number {
		t.Errorf("opened again: %+v, %v", again, err)
	}
	if _, err := box.Comment("alice", repo, opened.Number, "weir drift check"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.PostComment(ctx, repo, opened.Number, "<!-- weir kind=drift job=1 -->\nChecked.", false); err != nil {
		t.Errorf("comment on an issue: %v", err)
	}
	if err := g.EditIssue(ctx, repo, finding.Issue{Number: opened.Number, Title: "Drift in envs/prod"}); err != nil {
		t.Fatal(err)
	}
	want := []finding.Issue{{Number: opened.Number, Title: "Drift in envs/prod", Body: body, Labels: []string{finding.Label}, Assignees: []string{"alice"}}}
	got, err := g.DriftIssues(ctx, repo)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	labels, err := box.Labels(repo)
	if err != nil || len(labels) != 1 || labels[0].Description == "" {
		t.Errorf("labels %+v, %v", labels, err)
	}
	comments, err := box.Comments(repo, opened.Number)
	if err != nil || len(comments) != 2 {
		t.Errorf("comments %+v, %v", comments, err)
	}
}

func proposalStory(t *testing.T, box *sandbox.Sandbox, g *github.Client) {
	ctx := t.Context()
	main := box.Branch(repo, "main")
	b := finding.Branch{
		Name: "weir/drift/adopt-prod", Base: "main", Commit: main, Message: "Adopt", Title: "Adopt the drift of prod", Body: "It drifted.",
		Files: map[string][]byte{"prod/main.tf": []byte("# two\n"), "prod/old.tf": nil, "prod/x.bin": {0xff, 0}},
	}
	adopted, err := g.Propose(ctx, repo, b)
	if err != nil {
		t.Fatal(err)
	}
	files, err := box.Files(repo, adopted.Head)
	if diff := cmp.Diff([]string{"prod/main.tf", "prod/x.bin"}, files); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if text, _, err := box.File(repo, adopted.Head, "prod/x.bin"); err != nil || text != "\xff\x00" {
		t.Errorf("a file that is no text became %q, %v", text, err)
	}
	if again, err := g.Propose(ctx, repo, b); err != nil || again != adopted {
		t.Errorf("proposed again: %+v, %v, want %+v", again, err, adopted)
	}

	// A revert changes no file; it moves the same branch away from main's past.
	b.Files, b.Message = nil, "Revert"
	reverted, err := g.Propose(ctx, repo, b)
	if err != nil || reverted.Number != adopted.Number || reverted.Head == adopted.Head {
		t.Fatalf("reverted: %+v, %v", reverted, err)
	}
	pull, err := box.Pull(repo, reverted.Number)
	if err != nil || pull.HeadSHA != reverted.Head || pull.ChangedFiles != 0 || pull.Commits != 1 || !strings.HasSuffix(reverted.URL, "/pull/2") {
		t.Errorf("pull request %+v, %v", pull, err)
	}

	if _, err := box.Push(sandbox.Change{Repo: repo, Branch: b.Name, As: "alice", Files: map[string]string{"prod/hand.tf": "# by hand\n"}}); err != nil {
		t.Fatal(err)
	}
	var taken *github.TakenError
	if _, err := g.Propose(ctx, repo, b); !errors.As(err, &taken) || taken.By != "alice" {
		t.Errorf("over somebody's commit: %v, want a TakenError", err)
	}
}
