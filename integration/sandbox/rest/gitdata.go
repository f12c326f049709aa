package rest

import (
	"net/http"

	"weir/integration/sandbox/objects"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

// made answers with what was made in a repository.
func (a *API) made(c *call, status int, err error, to func(record.Repo) shape.Object) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	r, err := a.Hub.Repo(c.repo)
	if err != nil {
		return answer{}, err
	}
	return answer{status, to(r)}, nil
}

func (a *API) makeBlob(c *call) (answer, error) {
	var in struct{ Content, Encoding string }
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	sha, err := a.Objects.Blob(c.Context(), c.repo, in.Content, in.Encoding)
	return a.made(c, http.StatusCreated, err, func(r record.Repo) shape.Object { return a.Shape().Blob(r, sha) })
}

func (a *API) makeTree(c *call) (answer, error) {
	var in struct {
		Base string `json:"base_tree"`
		Tree []objects.NewEntry
	}
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	sha, all, err := a.Objects.Tree(c.Context(), c.repo, in.Base, in.Tree)
	return a.made(c, http.StatusCreated, err, func(r record.Repo) shape.Object { return a.Shape().Tree(r, sha, all) })
}

func (a *API) makeCommit(c *call) (answer, error) {
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	info, err := a.Objects.MakeCommit(c.Context(), c.who, c.repo, in.Message, in.Tree, in.Parents)
	return a.made(c, http.StatusCreated, err, func(r record.Repo) shape.Object { return a.Shape().GitCommit(r, info) })
}

func (a *API) gitCommit(c *call) (answer, error) {
	info, err := a.Objects.Commit(c.Context(), c.repo, c.PathValue("sha"))
	return a.made(c, http.StatusOK, err, func(r record.Repo) shape.Object { return a.Shape().GitCommit(r, info) })
}

func (c *call) ref() string { return "refs/" + c.PathValue("ref") }

func (a *API) ref(c *call) (answer, error) {
	sha, err := a.Objects.Ref(c.Context(), c.repo, c.ref())
	return a.made(c, http.StatusOK, err, func(r record.Repo) shape.Object { return a.Shape().Ref(r, c.ref(), sha) })
}

func (a *API) makeRef(c *call) (answer, error) {
	var in struct{ Ref, SHA string }
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	err := a.Objects.MakeRef(c.Context(), c.who, c.repo, in.Ref, in.SHA)
	return a.made(c, http.StatusCreated, err, func(r record.Repo) shape.Object { return a.Shape().Ref(r, in.Ref, in.SHA) })
}

func (a *API) moveRef(c *call) (answer, error) {
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	err := a.Objects.MoveRef(c.Context(), c.who, c.repo, c.ref(), in.SHA, in.Force)
	return a.made(c, http.StatusOK, err, func(r record.Repo) shape.Object { return a.Shape().Ref(r, c.ref(), in.SHA) })
}

func (a *API) deleteRef(c *call) (answer, error) {
	return answer{status: http.StatusNoContent}, a.Objects.DeleteRef(c.Context(), c.who, c.repo, c.ref())
}
