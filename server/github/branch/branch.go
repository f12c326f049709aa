// Package branch proposes changes of files: a commit on a branch of weir's own,
// made by GitHub's API without a checkout, and the pull request of it.
package branch

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"weir/drift/finding"
	"weir/server/github/rest"
)

// Prefix is what the names of branches begin with that weir may move.
const Prefix = "weir/"

// Branches proposes changes. Its methods may be called at the same time, not
// for the same branch.
type Branches struct {
	API *rest.Client
	// Own returns what tells weir's own account from others.
	Own func(ctx context.Context) (func(*github.User) bool, error)
}

// TakenError says that the newest commit of a branch that weir would move is
// somebody else's work.
type TakenError struct {
	Repo, Branch, Commit string
	By                   string // login; "" where GitHub does not tell
}

func (e *TakenError) Error() string {
	by := "somebody else"
	if e.By != "" {
		by = e.By
	}
	return fmt.Sprintf("branch %s of %s: its newest commit, %.8s, is by %s", e.Branch, e.Repo, e.Commit, by)
}

// Propose puts a change on its branch, as one commit on top of b.Commit, and
// opens a pull request of it. Doing it again changes nothing: a branch that
// holds the change is left as it is, and a pull request that is open gets title
// and body, if they differ. A branch that holds another change of weir's is
// moved, away from b.Commit's history if need be; one whose newest commit is
// somebody else's gives a TakenError.
//
// Files that are written are regular ones, whatever was there before. Removing
// a file that does not exist is an error, as is a name that does not begin
// with Prefix.
func (s *Branches) Propose(ctx context.Context, repo string, b finding.Branch) (finding.Proposed, error) {
	if !strings.HasPrefix(b.Name, Prefix) {
		return finding.Proposed{}, fmt.Errorf("github: branch %q is not weir's own", b.Name)
	}
	p := &proposal{Branches: s, repo: repo, Branch: b}
	tree, err := p.tree(ctx)
	if err != nil {
		return finding.Proposed{}, err
	}
	head, err := p.commit(ctx, tree)
	if err != nil {
		return finding.Proposed{}, err
	}
	return p.pull(ctx, head)
}

// proposal is one change on its way.
type proposal struct {
	*Branches
	finding.Branch
	repo string
}

func (p *proposal) what(verb string) string {
	return fmt.Sprintf("%s branch %s of %s", verb, p.Name, p.repo)
}

// call makes a call below the repository.
func (p *proposal) call(ctx context.Context, what, method string, body, out any, path ...string) error {
	full, err := rest.RepoPath(p.repo, path...)
	if err != nil {
		return err
	}
	_, err = p.API.In(ctx, p.repo, what, rest.Call{Method: method, Path: full, Body: body, Out: out, Absent: method == http.MethodGet})
	return err
}

// object is anything that Git names by its content.
type object struct {
	SHA string `json:"sha"`
}

// entry is a file of a tree. A null SHA removes it.
type entry struct {
	Path    string  `json:"path"`
	Mode    string  `json:"mode"`
	Type    string  `json:"type"`
	Content *string `json:"content,omitempty"`
	SHA     *string `json:"sha"`
}

// tree makes the tree of the new commit. Git names it by its content: made
// twice it is one.
func (p *proposal) tree(ctx context.Context) (string, error) {
	var base struct {
		Tree object `json:"tree"`
	}
	if err := p.call(ctx, p.what("read the commit below"), http.MethodGet, nil, &base, "git", "commits", p.Commit); err != nil {
		return "", err
	}
	if len(p.Files) == 0 {
		return base.Tree.SHA, nil
	}
	var entries []any
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		if !fs.ValidPath(name) || name == "." || slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.EqualFold(part, ".git") }) {
			return "", fmt.Errorf("github: %s: %q is no file of a repository", p.what("write"), name)
		}
		content := p.Files[name]
		e := entry{Path: name, Mode: "100644", Type: "blob"}
		switch {
		case content == nil:
		case utf8.Valid(content):
			text := string(content)
			entries = append(entries, struct {
				entry
				SHA *string `json:"sha,omitempty"`
			}{entry: entry{Path: name, Mode: e.Mode, Type: e.Type, Content: &text}})
			continue
		default:
			var blob object
			body := map[string]string{"content": base64.StdEncoding.EncodeToString(content), "encoding": "base64"}
			if err := p.call(ctx, p.what("write a file of"), http.MethodPost, body, &blob, "git", "blobs"); err != nil {
				return "", err
			}
			e.SHA = &blob.SHA
		}
		entries = append(entries, e)
	}
	var made object
	body := map[string]any{"base_tree": base.Tree.SHA, "tree": entries}
	err := p.call(ctx, p.what("write the files of"), http.MethodPost, body, &made, "git", "trees")
	return made.SHA, err
}

// commit makes the branch be at a commit of the tree, and returns it.
func (p *proposal) commit(ctx context.Context, tree string) (string, error) {
	now, err := p.at(ctx)
	if err != nil {
		return "", err
	}
	if now != "" {
		holds, err := p.holds(ctx, now, tree)
		if err != nil || holds {
			return now, err
		}
	}
	// Without an author it is by whoever weir is, and GitHub signs it for Apps.
	var made object
	body := map[string]any{"message": p.Message, "tree": tree, "parents": []string{p.Branch.Commit}}
	if err := p.call(ctx, p.what("commit to"), http.MethodPost, body, &made, "git", "commits"); err != nil {
		return "", err
	}
	if now == "" {
		body := map[string]string{"ref": "refs/heads/" + p.Name, "sha": made.SHA}
		err := p.call(ctx, p.what("make"), http.MethodPost, body, nil, "git", "refs")
		if rest.StatusOf(err) != http.StatusUnprocessableEntity {
			return made.SHA, err
		}
		// A repeated request is refused because the first one was heard.
		if at, look := p.at(ctx); look != nil || at != made.SHA {
			return "", err
		}
		return made.SHA, nil
	}
	forced := map[string]any{"sha": made.SHA, "force": true}
	return made.SHA, p.call(ctx, p.what("move"), http.MethodPatch, forced, nil, p.ref("refs")...)
}

func (p *proposal) ref(kind string) []string {
	return append([]string{"git", kind, "heads"}, strings.Split(p.Name, "/")...)
}

// at returns the commit of the branch, "" where there is no branch.
func (p *proposal) at(ctx context.Context) (string, error) {
	var ref struct {
		Object object `json:"object"`
	}
	err := p.call(ctx, p.what("read"), http.MethodGet, nil, &ref, p.ref("ref")...)
	if rest.StatusOf(err) == http.StatusNotFound {
		return "", nil
	}
	return ref.Object.SHA, err
}

// holds says whether a commit is the change already. If not, and it is not
// weir's at all, the error is a TakenError.
func (p *proposal) holds(ctx context.Context, commit, tree string) (bool, error) {
	own, err := p.Own(ctx)
	if err != nil {
		return false, err
	}
	var c github.RepositoryCommit
	if err := p.call(ctx, p.what("read"), http.MethodGet, nil, &c, "commits", commit); err != nil {
		return false, err
	}
	if !own(c.Author) {
		return false, &TakenError{Repo: p.repo, Branch: p.Name, Commit: commit, By: c.GetAuthor().GetLogin()}
	}
	return c.GetCommit().GetTree().GetSHA() == tree && len(c.Parents) == 1 && c.Parents[0].GetSHA() == p.Branch.Commit &&
		strings.TrimSpace(c.GetCommit().GetMessage()) == strings.TrimSpace(p.Message), nil
}

// pull returns the open pull request of the branch, which is opened where
// there is none.
func (p *proposal) pull(ctx context.Context, head string) (finding.Proposed, error) {
	path, err := rest.RepoPath(p.repo, "pulls")
	if err != nil {
		return finding.Proposed{}, err
	}
	owner, _, _ := strings.Cut(p.repo, "/")
	list := rest.Get(path+"?state=open&head="+url.QueryEscape(owner+":"+p.Name)+"&base="+url.QueryEscape(p.Base), nil)
	var found *github.PullRequest
	look := func() (bool, error) {
		err := rest.Pages(ctx, p.API, p.repo, "list pull requests of "+p.repo, list, func(page []*github.PullRequest) {
			for _, pr := range page {
				// A server that does not know the parameters lists all.
				if pr.GetHead().GetRef() == p.Name && pr.GetBase().GetRef() == p.Base && pr.GetHead().GetRepo().GetID() == pr.GetBase().GetRepo().GetID() {
					found = pr
				}
			}
		})
		return found != nil, err
	}
	fresh := false
	send := func() error {
		var opened github.PullRequest
		body := map[string]string{"title": p.Title, "head": p.Name, "base": p.Base, "body": p.Body}
		_, err := p.API.In(ctx, p.repo, "open a pull request in "+p.repo, rest.Call{Method: http.MethodPost, Path: path, Body: body, Out: &opened, Once: true})
		if err == nil && opened.GetNumber() > 0 {
			found, fresh = &opened, true
		}
		return err
	}
	err = rest.AtMostOnce(ctx, true, look, send)
	if err != nil && rest.StatusOf(err) != http.StatusUnprocessableEntity {
		return finding.Proposed{}, err
	}
	if found == nil {
		// It exists already, though it was not listed a moment ago, or the
		// answer did not tell what was made.
		ok, failed := look()
		switch {
		case failed != nil:
			return finding.Proposed{}, failed
		case !ok && err != nil:
			return finding.Proposed{}, err
		case !ok:
			return finding.Proposed{}, fmt.Errorf("github: the pull request that was opened in %s cannot be found", p.repo)
		}
	}
	proposed := finding.Proposed{Number: found.GetNumber(), URL: found.GetHTMLURL(), Head: head}
	if fresh || found.GetTitle() == p.Title && strings.ReplaceAll(found.GetBody(), "\r\n", "\n") == p.Body {
		return proposed, nil
	}
	edit := map[string]string{"title": p.Title, "body": p.Body}
	what := fmt.Sprintf("edit pull request %s#%d", p.repo, proposed.Number)
	return proposed, p.call(ctx, what, http.MethodPatch, edit, nil, "pulls", fmt.Sprint(proposed.Number))
}
