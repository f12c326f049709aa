package rest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"weir/integration/sandbox/checks"
	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

// checkInput is the body that creates or updates a check run.
type checkInput struct {
	Name, Status, Conclusion *string
	HeadSHA                  *string    `json:"head_sha"`
	DetailsURL               *string    `json:"details_url"`
	ExternalID               *string    `json:"external_id"`
	StartedAt                *time.Time `json:"started_at"`
	CompletedAt              *time.Time `json:"completed_at"`
	Output                   *struct{ Title, Summary, Text *string }
	Actions                  *[]record.Action
}

func (i checkInput) edit() checks.Edit {
	e := checks.Edit{
		Name: i.Name, HeadSHA: i.HeadSHA, Status: i.Status, Conclusion: i.Conclusion, DetailsURL: i.DetailsURL, ExternalID: i.ExternalID,
		Started: i.StartedAt, Completed: i.CompletedAt, Actions: i.Actions,
	}
	if i.Output != nil {
		e.Title, e.Summary, e.Text = i.Output.Title, i.Output.Summary, i.Output.Text
	}
	return e
}

func (a *API) createCheck(c *call) (answer, error) {
	var in checkInput
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	check, err := a.Checks.CreateCheck(c.who, c.repo, in.edit())
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.Shape().Check(check)}, nil
}

func (a *API) updateCheck(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	var in checkInput
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	check, err := a.Checks.UpdateCheck(c.who, c.repo, id, in.edit())
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Check(check))
}

func (a *API) check(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	check, err := a.Checks.CheckRun(c.repo, id)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Check(check))
}

// sha resolves the ref in the path.
func (a *API) sha(c *call) (string, error) {
	info, err := a.lookUp(c, c.PathValue("ref"))
	return info.SHA, err
}

func (a *API) checks(c *call) (answer, error) {
	sha, err := a.sha(c)
	if err != nil {
		return answer{}, err
	}
	q := c.URL.Query()
	all, err := a.Checks.CheckRuns(c.repo, sha, q.Get("filter") != "all")
	if err != nil {
		return answer{}, err
	}
	all = slices.DeleteFunc(all, func(r record.CheckRun) bool {
		return q.Get("check_name") != "" && r.Name != q.Get("check_name") || q.Get("status") != "" && r.Status != q.Get("status")
	})
	return ok(shape.Object{"total_count": len(all), "check_runs": list(page(a, c, all), a.Shape().Check)})
}

func (a *API) setStatus(c *call) (answer, error) {
	var in struct {
		State, Description, Context string
		TargetURL                   string `json:"target_url"`
	}
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	s, err := a.Checks.SetStatus(c.who, c.repo, c.PathValue("sha"), record.Status{State: in.State, Description: in.Description, Context: in.Context, TargetURL: in.TargetURL})
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.Shape().Status(s)}, nil
}

func (a *API) statuses(c *call) (answer, error) {
	sha, err := a.sha(c)
	if err != nil {
		return answer{}, err
	}
	all, err := a.Checks.CommitStatuses(c.repo, sha, false)
	if err != nil {
		return answer{}, err
	}
	return ok(list(page(a, c, all), a.Shape().Status))
}

func (a *API) combinedStatus(c *call) (answer, error) {
	sha, err := a.sha(c)
	if err != nil {
		return answer{}, err
	}
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	all, err := a.Checks.CommitStatuses(c.repo, sha, true)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().CombinedStatus(r, sha, page(a, c, all), all))
}

func (a *API) commit(c *call) (answer, error) {
	info, err := a.lookUp(c, c.PathValue("ref"))
	if err != nil {
		return answer{}, err
	}
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	return ok(a.commitOf(r, info))
}

// commitOf is a commit with the account that its author's address belongs to.
func (a *API) commitOf(r record.Repo, info gitrepo.Info) shape.Object {
	o := a.Shape().Commit(r, info)
	_, login, _ := strings.Cut(strings.TrimSuffix(info.Author.Email, "@users.noreply.github.com"), "+")
	if u, found := a.Hub.Account(login); found && u.Email() == info.Author.Email {
		o["author"], o["committer"] = a.Shape().User(u), a.Shape().User(u)
	}
	return o
}

// lookUp returns a commit by any name for it, or a 422.
func (a *API) lookUp(c *call, name string) (gitrepo.Info, error) {
	git, err := a.Hub.Git(c.repo)
	if err != nil {
		return gitrepo.Info{}, err
	}
	sha, err := git.Resolve(c.Context(), name)
	if err != nil {
		return gitrepo.Info{}, err
	}
	if sha == "" {
		return gitrepo.Info{}, &record.Error{Status: http.StatusUnprocessableEntity, Message: "No commit found for SHA: " + name}
	}
	return git.Info(c.Context(), sha)
}
