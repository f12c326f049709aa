package rest

import (
	"net/http"
	"slices"
	"time"

	"weir/integration/sandbox/record"
)

// comments lists the oldest first; since leaves out what was not updated
// after it.
func (a *API) comments(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	all, err := a.Talk.Comments(c.repo, n)
	if err != nil {
		return answer{}, err
	}
	if since, err := time.Parse(time.RFC3339, c.URL.Query().Get("since")); err == nil {
		all = slices.DeleteFunc(all, func(m record.Comment) bool { return m.Updated.Before(since) })
	}
	return ok(list(page(a, c, all), a.Shape().Comment))
}

func (c *call) body() (string, error) {
	var in struct{ Body string }
	err := c.read(&in)
	return in.Body, err
}

func (a *API) addComment(c *call) (answer, error) {
	n, err := c.number("number")
	if err != nil {
		return answer{}, err
	}
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	m, err := a.Talk.AddComment(c.who, c.repo, n, body)
	if err != nil {
		return answer{}, err
	}
	o := a.Shape().Comment(m)
	c.w.Header().Set("Location", a.Shape().Comment(m)["url"].(string)) //nolint:errcheck // Comment writes a string
	return answer{http.StatusCreated, o}, nil
}

func (a *API) comment(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	m, err := a.Talk.CommentByID(c.repo, id)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Comment(m))
}

func (a *API) editComment(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	m, err := a.Talk.EditComment(c.who, c.repo, id, body)
	if err != nil {
		return answer{}, err
	}
	return ok(a.Shape().Comment(m))
}

func (a *API) deleteComment(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, a.Talk.DeleteComment(c.who, c.repo, id)
}

func (a *API) reactions(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	m, err := a.Talk.CommentByID(c.repo, id)
	if err != nil {
		return answer{}, err
	}
	return ok(list(page(a, c, m.Reactions), a.Shape().Reaction))
}

func (a *API) react(c *call) (answer, error) {
	id, err := c.id("id")
	if err != nil {
		return answer{}, err
	}
	var in struct{ Content string }
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	r, fresh, err := a.Talk.React(c.who, c.repo, id, in.Content)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
	}
	return answer{status, a.Shape().Reaction(r)}, nil
}
