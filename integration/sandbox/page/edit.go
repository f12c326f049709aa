package page

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// edited is a file being edited.
type edited struct {
	Path    string
	Content string
	New     bool
	Branch  string
	Pull    *record.Pull // that the branch belongs to
	May     bool
}

// target finds what is to be edited: the branch of a pull request, or a new
// branch off another.
func (p *Page) target(v *visit) (edited, error) {
	e := edited{Path: strings.TrimPrefix(strings.TrimSpace(v.FormValue("path")), "/")}
	full := v.full
	if n, err := strconv.Atoi(v.FormValue("pull")); err == nil {
		pull, err := p.People.Pull(v.full, n)
		if err != nil {
			return e, err
		}
		e.Pull, e.Branch, full = &pull, pull.HeadRef, pull.HeadRepo.FullName()
	} else {
		repo, err := p.People.Repo(v.full)
		if err != nil {
			return e, err
		}
		e.Branch = cmp.Or(v.FormValue("branch"), repo.DefaultBranch)
	}
	role, err := p.People.Role(full, v.me)
	if err != nil {
		return e, err
	}
	e.May = role.AtLeast("write")
	content, found, err := p.People.File(full, "refs/heads/"+e.Branch, e.Path)
	e.Content, e.New = content, !found
	return e, err
}

func (p *Page) edit(v *visit) error {
	e, err := p.target(v)
	if err != nil {
		return err
	}
	return p.render(v, "edit.html", "Edit "+e.Path, e)
}

// push commits an edit: to the branch of the pull request, or to a new branch
// of which a pull request is opened.
func (p *Page) push(v *visit) error {
	e, err := p.target(v)
	if err != nil {
		return err
	}
	back := fmt.Sprintf("/%s/edit?%s", v.full, url.Values{"path": {e.Path}, "pull": {v.FormValue("pull")}, "branch": {v.FormValue("branch")}}.Encode())
	if !e.May || e.Path == "" {
		problem := "You need write access to push."
		if e.Path == "" {
			problem = "Which file?"
		}
		return v.redirect(back + "&problem=" + url.QueryEscape(problem))
	}
	change := hub.Change{Repo: v.full, Branch: e.Branch, As: v.me, Message: cmp.Or(v.FormValue("message"), "Update "+e.Path)}
	if v.FormValue("delete") != "" {
		change.Delete = []string{e.Path}
	} else {
		change.Files = map[string]string{e.Path: strings.ReplaceAll(v.FormValue("content"), "\r\n", "\n")}
	}
	if e.Pull != nil {
		change.Repo = e.Pull.HeadRepo.FullName()
		_, err := p.People.Push(change)
		return v.done(fmt.Sprintf("/%s/pull/%d", v.full, e.Pull.Number), "#end", err)
	}
	change.From, change.Branch = e.Branch, p.freeBranch(v.full, v.me)
	if _, err := p.People.Push(change); err != nil {
		return v.redirect(back + "&problem=" + url.QueryEscape(sentence(err)))
	}
	pull, err := p.People.OpenPull(v.me, hub.NewPull{Repo: v.full, Head: change.Branch, Base: e.Branch, Title: change.Message, Draft: v.FormValue("draft") != ""})
	if err != nil {
		return v.redirect(back + "&problem=" + url.QueryEscape(sentence(err)))
	}
	return v.redirect(fmt.Sprintf("/%s/pull/%d", v.full, pull.Number))
}

// freeBranch names a branch that there is not yet.
func (p *Page) freeBranch(full, login string) string {
	branches := p.People.Branches(full)
	for n := 1; ; n++ {
		if name := fmt.Sprintf("%s-patch-%d", login, n); branches[name] == "" {
			return name
		}
	}
}
