package rest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

func (a *API) issue(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	i, err := a.Hub.Issue(c.repo, n)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Issue(i))
}

// issues lists issues and pull requests, which GitHub takes for issues, too.
func (a *API) issues(c *call) (answer, error) {
	all, err := a.Talk.Issues(c.repo)
	if err != nil {
		return answer{}, err
	}
	pulls, err := a.Hub.Pulls(c.repo)
	if err != nil {
		return answer{}, err
	}
	for _, p := range pulls {
		all = append(all, p.Issue)
	}
	q := c.URL.Query()
	since, _ := time.Parse(time.RFC3339, q.Get("since")) // zero for all
	state := cmp.Or(q.Get("state"), "open")
	all = slices.DeleteFunc(all, func(i record.Issue) bool {
		return state != "all" && i.State != state || i.Updated.Before(since) || !hasLabels(i, q.Get("labels")) ||
			q.Get("creator") != "" && !strings.EqualFold(i.Author.Login, q.Get("creator")) || !hasAssignee(i, q.Get("assignee"))
	})
	slices.SortStableFunc(all, func(x, y record.Issue) int {
		by := x.Created.Compare(y.Created)
		switch q.Get("sort") {
		case "updated":
			by = x.Updated.Compare(y.Updated)
		case "comments":
			by = cmp.Compare(x.Comments, y.Comments)
		}
		if by = cmp.Or(by, cmp.Compare(x.Number, y.Number)); q.Get("direction") != "asc" {
			by = -by
		}
		return by
	})
	return ok(list(page(a, c, all), a.Shape().Issue))
}

func hasLabels(i record.Issue, names string) bool {
	if names == "" {
		return true
	}
	for name := range strings.SplitSeq(names, ",") {
		if !slices.ContainsFunc(i.Labels, func(l record.Label) bool { return strings.EqualFold(l.Name, name) }) {
			return false
		}
	}
	return true
}

func hasAssignee(i record.Issue, login string) bool {
	switch login {
	case "":
		return true
	case "none":
		return len(i.Assignees) == 0
	case "*":
		return len(i.Assignees) > 0
	}
	return slices.ContainsFunc(i.Assignees, func(u record.User) bool { return strings.EqualFold(u.Login, login) })
}

func (a *API) openIssue(c *call) (answer, error) {
	var in record.NewIssue
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	i, err := a.Talk.OpenIssue(c.who, c.repo, in)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.Shape().Issue(i)}, nil
}

func (a *API) editIssue(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	var in record.Edit
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	in.Base = nil // what only a pull request has
	if _, err := a.Hub.Pull(c.repo, n); err == nil {
		if _, err := a.Hub.EditPull(c.who, c.repo, n, in); err != nil {
			return answer{}, err
		}
	}
	i, err := a.Talk.EditIssue(c.who, c.repo, n, in)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Issue(i))
}

func (a *API) assign(c *call) (answer, error)   { return a.assignees(c, true) }
func (a *API) unassign(c *call) (answer, error) { return a.assignees(c, false) }

func (a *API) assignees(c *call, on bool) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	var in struct{ Assignees []string }
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	i, err := a.Talk.Assign(c.who, c.repo, n, on, in.Assignees...)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusOK
	if on {
		status = http.StatusCreated
	}
	return answer{status, a.Shape().Issue(i)}, nil
}

// labels lists those of the repository.
func (a *API) labels(c *call) (answer, error) {
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	all, err := a.Talk.Labels(c.repo)
	if err != nil {
		return answer{}, err
	}
	return ok(list(page(a, c, all), func(l record.Label) shape.Object { return a.Shape().Label(r, l) }))
}

func (a *API) makeLabel(c *call) (answer, error) {
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	var in struct{ Name, Color, Description string }
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	l, err := a.Talk.MakeLabel(c.repo, record.Label{Name: in.Name, Color: in.Color, Description: in.Description})
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.Shape().Label(r, l)}, nil
}

func (a *API) labelsOf(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	i, err := a.Hub.Issue(c.repo, n)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Labels(i.Repo, page(a, c, i.Labels)))
}

// addLabels takes both forms that GitHub takes: a list, or an object with one.
func (a *API) addLabels(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	var raw json.RawMessage
	if err := c.read(&raw); err != nil {
		return answer{}, err
	}
	var names []string
	if json.Unmarshal(raw, &names) != nil {
		var in struct{ Labels []string }
		if json.Unmarshal(raw, &in) != nil {
			return answer{}, &record.Error{Status: http.StatusUnprocessableEntity, Message: "Invalid request."}
		}
		names = in.Labels
	}
	return a.changedLabels(c, func() ([]record.Label, error) { return a.Talk.AddLabels(c.who, c.repo, n, names...) })
}

func (a *API) removeLabel(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	return a.changedLabels(c, func() ([]record.Label, error) { return a.Talk.RemoveLabel(c.who, c.repo, n, c.PathValue("name")) })
}

func (a *API) changedLabels(c *call, change func() ([]record.Label, error)) (answer, error) {
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	labels, err := change()
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Labels(r, labels))
}
