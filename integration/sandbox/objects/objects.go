// Package objects makes blobs, trees, commits and branches one by one, as
// GitHub's Git database allows without a checkout, and refuses what GitHub
// would refuse.
package objects

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// Objects are those of a hub's repositories.
type Objects struct {
	Hub *hub.Hub
}

func unprocessable(message string) error {
	return &record.Error{Status: http.StatusUnprocessableEntity, Message: message}
}

// Blob stores content, in an encoding that is utf-8 or base64, and names it.
func (o Objects) Blob(ctx context.Context, full, content, encoding string) (string, error) {
	git, err := o.Hub.Git(full)
	if err != nil {
		return "", err
	}
	data := []byte(content)
	if encoding == "base64" {
		if data, err = base64.StdEncoding.DecodeString(content); err != nil {
			return "", unprocessable("content is not valid Base64")
		}
	}
	return git.Blob(ctx, data)
}

// NewEntry is a path of a tree to be made. SHA null removes it.
type NewEntry struct {
	Path, Mode, Type string
	SHA              json.RawMessage
	Content          *string
}

var modes = []string{"100644", "100755", "040000", "160000", "120000"}

// Tree makes a tree of another one, "" for none, and lists it.
func (o Objects) Tree(ctx context.Context, full, base string, changes []NewEntry) (string, []gitrepo.Entry, error) {
	git, err := o.Hub.Git(full)
	if err != nil {
		return "", nil, err
	}
	if kind, err := git.Kind(ctx, base); err != nil || base != "" && kind != "tree" && kind != "commit" {
		return "", nil, unprocessable("base_tree is not a valid tree oid")
	}
	var entries []gitrepo.Entry
	for _, c := range changes {
		e, err := entry(ctx, git, base, c)
		if err != nil {
			return "", nil, err
		}
		entries = append(entries, e)
	}
	sha, err := git.WriteTree(ctx, base, entries)
	if err != nil {
		return "", nil, err
	}
	all, err := git.Entries(ctx, sha)
	return sha, all, err
}

// entry checks an entry and stores its content, if it has any.
func entry(ctx context.Context, git *gitrepo.Repo, base string, n NewEntry) (gitrepo.Entry, error) {
	e := gitrepo.Entry{Path: n.Path, Mode: n.Mode, Type: n.Type}
	if !fs.ValidPath(n.Path) || n.Path == "." || slices.Contains(strings.Split(n.Path, "/"), ".git") {
		return e, unprocessable("tree.path contains a malformed path component")
	}
	if !slices.Contains(modes, n.Mode) {
		return e, unprocessable("Must supply a valid tree.mode")
	}
	switch {
	case n.Content != nil && len(n.SHA) > 0, n.Content == nil && len(n.SHA) == 0:
		return e, unprocessable("Must supply either tree.sha or tree.content")
	case n.Content != nil:
		var err error
		e.SHA, err = git.Blob(ctx, []byte(*n.Content))
		return e, err
	case string(n.SHA) == "null":
		files, err := git.Files(ctx, base)
		if err == nil && !slices.ContainsFunc(files, func(f string) bool { return f == n.Path || strings.HasPrefix(f, n.Path+"/") }) {
			err = unprocessable("GitRPC::BadObjectState")
		}
		return e, err
	}
	if err := json.Unmarshal(n.SHA, &e.SHA); err != nil {
		return e, unprocessable("Invalid request.")
	}
	if kind, err := git.Kind(ctx, e.SHA); err != nil || kind != n.Type {
		return e, unprocessable("tree.sha " + e.SHA + " is not a valid " + n.Type)
	}
	return e, nil
}

// MakeCommit makes a commit by somebody, on no branch yet.
func (o Objects) MakeCommit(ctx context.Context, who account.Identity, full, message, tree string, parents []string) (gitrepo.Info, error) {
	git, err := o.Hub.Git(full)
	if err != nil {
		return gitrepo.Info{}, err
	}
	if kind, err := git.Kind(ctx, tree); err != nil || kind != "tree" {
		return gitrepo.Info{}, unprocessable("Tree SHA does not exist")
	}
	for _, p := range parents {
		if kind, err := git.Kind(ctx, p); err != nil || kind != "commit" {
			return gitrepo.Info{}, unprocessable("Parent SHA does not exist or is not a commit object")
		}
	}
	sha, err := git.CommitTree(ctx, tree, parents, message, gitrepo.Person{Name: who.User.Login, Email: who.User.Email()}, record.Now())
	if err != nil {
		return gitrepo.Info{}, err
	}
	return git.Info(ctx, sha)
}

// Commit reads a commit by its full name.
func (o Objects) Commit(ctx context.Context, full, sha string) (gitrepo.Info, error) {
	git, err := o.Hub.Git(full)
	if err != nil {
		return gitrepo.Info{}, err
	}
	if kind, err := git.Kind(ctx, sha); err != nil || kind != "commit" {
		return gitrepo.Info{}, record.NotFound()
	}
	return git.Info(ctx, sha)
}

// refName is a branch's full name: what follows from its moving is known of
// branches alone.
var refName = regexp.MustCompile(`^refs/heads/[A-Za-z0-9_+@-][A-Za-z0-9._+@/-]*$`)

// Ref returns the commit that a ref is at, by its full name.
func (o Objects) Ref(ctx context.Context, full, name string) (string, error) {
	git, err := o.Hub.Git(full)
	if err != nil {
		return "", err
	}
	refs, err := git.Refs(ctx, name)
	if err == nil && refs[name] == "" {
		err = record.NotFound()
	}
	return refs[name], err
}

// MakeRef makes a branch.
func (o Objects) MakeRef(ctx context.Context, who account.Identity, full, name, sha string) error {
	if !refName.MatchString(name) {
		return unprocessable("Reference name must start with 'refs/heads/' in this sandbox")
	}
	return o.move(ctx, who, full, name, sha, gitrepo.Zero, "Reference already exists")
}

// MoveRef moves a branch; unless it is forced, forwards only.
func (o Objects) MoveRef(ctx context.Context, who account.Identity, full, name, sha string, force bool) error {
	now, err := o.Ref(ctx, full, name)
	if err != nil || !refName.MatchString(name) {
		return unprocessable("Reference does not exist")
	}
	git, err := o.Hub.Git(full)
	if err != nil {
		return err
	}
	if kind, err := git.Kind(ctx, sha); err == nil && kind == "commit" && !force {
		forward, err := git.IsAncestor(ctx, now, sha)
		if err != nil {
			return err
		}
		if !forward {
			return unprocessable("Update is not a fast forward")
		}
	}
	return o.move(ctx, who, full, name, sha, now, "Reference cannot be updated")
}

// move points a ref from one commit at another, and lets happen what follows.
func (o Objects) move(ctx context.Context, who account.Identity, full, name, sha, old, otherwise string) error {
	git, err := o.Hub.Git(full)
	if err != nil {
		return err
	}
	if kind, err := git.Kind(ctx, sha); err != nil || kind != "commit" {
		return unprocessable("Object does not exist")
	}
	moved, err := git.MoveRef(ctx, name, sha, old)
	if err != nil {
		return err
	}
	if !moved {
		return unprocessable(otherwise)
	}
	return o.Hub.SyncRefs(full, who.User)
}

// DeleteRef deletes a branch.
func (o Objects) DeleteRef(ctx context.Context, who account.Identity, full, name string) error {
	if _, err := o.Ref(ctx, full, name); err != nil || !refName.MatchString(name) {
		return unprocessable("Reference does not exist")
	}
	git, err := o.Hub.Git(full)
	if err != nil {
		return err
	}
	if err := git.DeleteRef(ctx, name); err != nil {
		return err
	}
	return o.Hub.SyncRefs(full, who.User)
}
