package rest

import (
	"net/http"
	"slices"
	"strings"

	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

func (a *API) pulls(c *call) (answer, error) {
	all, err := a.Hub.Pulls(c.repo)
	if err != nil {
		return answer{}, err
	}
	q := c.URL.Query()
	state := q.Get("state")
	if state == "" {
		state = "open"
	}
	all = slices.DeleteFunc(all, func(p record.Pull) bool {
		label := p.HeadRepo.Owner.Login + ":" + p.HeadRef
		return state != "all" && p.State != state || q.Get("base") != "" && p.BaseRef != q.Get("base") ||
			// GitHub ignores a head without an owner.
			strings.Contains(q.Get("head"), ":") && !strings.EqualFold(q.Get("head"), label)
	})
	if q.Get("direction") != "asc" {
		slices.Reverse(all)
	}
	if q.Get("sort") == "updated" {
		slices.SortStableFunc(all, func(x, y record.Pull) int {
			if q.Get("direction") == "asc" {
				return x.Updated.Compare(y.Updated)
			}
			return y.Updated.Compare(x.Updated)
		})
	}
	return ok(list(page(a, c, all), a.Shape().SimplePull))
}

func (a *API) openPull(c *call) (answer, error) {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	p, err := a.Hub.OpenPull(c.who, hub.NewPull{Repo: c.repo, Head: in.Head, Base: in.Base, Title: in.Title, Body: in.Body, Draft: in.Draft})
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.Shape().Pull(p)}, nil
}

func (a *API) pull(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	p, err := a.Hub.LookAt(c.repo, n)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Pull(p))
}

func (a *API) editPull(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	var in record.Edit
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	p, err := a.Hub.EditPull(c.who, c.repo, n, in)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Pull(p))
}

func (a *API) pullCommits(c *call) (answer, error) {
	p, git, err := a.pullAndGit(c)
	if err != nil {
		return answer{}, err
	}
	commits, err := git.Log(c.Context(), p.BaseSHA, p.HeadSHA)
	if err != nil {
		return answer{}, err
	}
	return ok(list(page(a, c, commits[:min(len(commits), 250)]), func(i gitrepo.Info) shape.Object { return a.commitOf(p.Repo, i) }))
}

func (a *API) pullFiles(c *call) (answer, error) {
	p, git, err := a.pullAndGit(c)
	if err != nil {
		return answer{}, err
	}
	files, err := git.Diff(c.Context(), p.BaseSHA, p.HeadSHA)
	if err != nil {
		return answer{}, err
	}
	// GitHub's limit for this list.
	files = files[:min(len(files), 3000)]
	return ok(list(page(a, c, files), func(f gitrepo.Change) shape.Object { return a.Shape().File(p.Repo, p.HeadSHA, f) }))
}

func (a *API) pullAndGit(c *call) (record.Pull, *gitrepo.Repo, error) {
	n, err := c.number("number")
	if err != nil {
		return record.Pull{}, nil, err
	}
	p, err := a.Hub.Pull(c.repo, n)
	if err != nil {
		return record.Pull{}, nil, err
	}
	git, err := a.Hub.Git(c.repo)
	return p, git, err
}

func (a *API) reviews(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	p, err := a.Hub.Pull(c.repo, n)
	if err != nil {
		return answer{}, err
	}
	all, err := a.Hub.Reviews(c.repo, n)
	if err != nil {
		return answer{}, err
	}
	return ok(list(page(a, c, all), func(r record.Review) shape.Object { return a.Shape().Review(p, r, false) }))
}

func (a *API) addReview(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	var in struct {
		Event, Body string
		CommitID    string `json:"commit_id"`
	}
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	r, err := a.Hub.AddReview(c.who, c.repo, n, hub.NewReview{Event: in.Event, Body: in.Body, Commit: in.CommitID})
	if err != nil {
		return answer{}, err
	}
	return a.oneReview(c, n, r)
}

func (a *API) oneReview(c *call, number int, r record.Review) (answer, error) {
	p, err := a.Hub.Pull(c.repo, number)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Review(p, r, false))
}

func (a *API) dismiss(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	var in struct{ Message string }
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	if in.Message == "" {
		return answer{}, &record.Error{Status: http.StatusUnprocessableEntity, Message: `Invalid request. "message" wasn't supplied.`}
	}
	r, err := a.Hub.Dismiss(c.who, c.repo, n, id)
	if err != nil {
		return answer{}, err
	}
	return a.oneReview(c, n, r)
}

func (a *API) merge(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	var in struct {
		SHA         string
		MergeMethod string `json:"merge_method"`
		CommitTitle string `json:"commit_title"`
		Message     string `json:"commit_message"`
	}
	if c.ContentLength != 0 {
		if err := c.read(&in); err != nil {
			return answer{}, err
		}
	}
	sha, err := a.Hub.Merge(c.who, c.repo, n, hub.MergeOptions{Method: in.MergeMethod, SHA: in.SHA, Title: in.CommitTitle, Message: in.Message})
	if err != nil {
		return answer{}, err
	}
	return ok(shape.Object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"})
}
