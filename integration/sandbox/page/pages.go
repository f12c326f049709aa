package page

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/people"
	"weir/integration/sandbox/record"
)

// listed is a repository with its pull requests, the newest first.
type listed struct {
	record.Repo
	Pulls  []record.Pull
	Issues []record.Issue
}

func (p *Page) list(r record.Repo) (listed, error) {
	pulls, err := p.People.Pulls(r.FullName())
	if err != nil {
		return listed{}, err
	}
	issues, err := p.People.Issues(r.FullName())
	slices.Reverse(pulls)
	slices.Reverse(issues)
	return listed{r, pulls, issues}, err
}

func (p *Page) home(v *visit) error {
	var all []listed
	for _, r := range p.People.Repos() {
		l, err := p.list(r)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	return p.render(v, "home.html", "Sandbox", all)
}

func (p *Page) repo(v *visit) error {
	r, err := p.People.Repo(v.full)
	if err != nil {
		return err
	}
	l, err := p.list(r)
	if err != nil {
		return err
	}
	return p.tell(v, l, r.DefaultBranch)
}

func (p *Page) tell(v *visit, l listed, branch string) error {
	files, err := p.People.Files(v.full, "refs/heads/"+branch)
	if err != nil {
		return err
	}
	role, err := p.People.Role(v.full, v.me)
	if err != nil {
		return err
	}
	return p.render(v, "repo.html", l.FullName(), struct {
		listed
		Branch   string
		Branches map[string]string
		Files    []string
		Role     record.Permission
		MayPush  bool
	}{l, branch, p.People.Branches(v.full), files, role, role.AtLeast("write")})
}

func (p *Page) tree(v *visit) error {
	r, err := p.People.Repo(v.full)
	if err != nil {
		return err
	}
	if p.People.Branch(v.full, v.PathValue("branch")) == "" {
		return record.NotFound()
	}
	l, err := p.list(r)
	if err != nil {
		return err
	}
	return p.tell(v, l, v.PathValue("branch"))
}

// entry is one thing in a conversation.
type entry struct {
	At      time.Time
	Comment *record.Comment
	Review  *record.Review
	Commit  *commit
}

type commit struct{ SHA, Message, Author string }

// thread orders what was pushed and said.
func thread(commits []gitrepo.Info, comments []record.Comment, reviews []record.Review) []entry {
	var all []entry
	for _, c := range commits {
		all = append(all, entry{At: c.When, Commit: &commit{c.SHA, firstLine(c.Message), c.Author.Name}})
	}
	for _, c := range comments {
		all = append(all, entry{At: c.Created, Comment: &c})
	}
	for _, r := range reviews {
		all = append(all, entry{At: r.Submitted, Review: &r})
	}
	// Times have seconds. Within one, commits come first, in their order,
	// and the rest by id.
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.id(), b.id()))
	})
	return all
}

func (e entry) id() int64 {
	switch {
	case e.Comment != nil:
		return e.Comment.ID
	case e.Review != nil:
		return e.Review.ID
	}
	return 0
}

// pullPage is everything about a pull request.
type pullPage struct {
	record.Pull
	Page     string // its path
	Role     record.Permission
	MayWrite bool
	MayEdit  bool // close, reopen, draft
	Mine     bool
	Thread   []entry
	Checks   []record.CheckRun
	Patch    string
	Files    []string
	Blockers []string
	Approved []string
	Refused  []string
}

// Mood names the state for the page's colours.
func (page *pullPage) Mood() string { return mood(page.Pull) }

func mood(p record.Pull) string {
	switch {
	case p.Merged:
		return "merged"
	case p.State == "open" && p.Draft:
		return "draft"
	}
	return p.State
}

func (p *Page) pull(v *visit) error {
	pull, err := p.People.Pull(v.full, v.number)
	if err != nil {
		return err
	}
	page := &pullPage{Pull: pull, Page: fmt.Sprintf("/%s/pull/%d", v.full, v.number), Mine: strings.EqualFold(pull.Author.Login, v.me)}
	if page.Role, err = p.People.Role(v.full, v.me); err != nil {
		return err
	}
	page.MayWrite = page.Role.AtLeast("write")
	page.MayEdit = page.Mine || page.Role.AtLeast("triage")
	if err := page.gather(p.People, v.full, v.number); err != nil {
		return err
	}
	return p.render(v, "pull.html", fmt.Sprintf("%s · #%d", pull.Title, pull.Number), page)
}

func (page *pullPage) gather(from *people.People, full string, number int) error {
	comments, err := from.Comments(full, number)
	if err != nil {
		return err
	}
	reviews, err := from.Reviews(full, number)
	if err != nil {
		return err
	}
	commits, err := from.Commits(full, number)
	if err != nil {
		return err
	}
	page.Thread = thread(commits, comments, reviews)
	latest := map[string]string{}
	for _, r := range reviews {
		if r.State != "COMMENTED" {
			latest[r.Author.Login] = r.State
		}
	}
	for login, state := range latest {
		switch state {
		case "APPROVED":
			page.Approved = append(page.Approved, login)
		case "CHANGES_REQUESTED":
			page.Refused = append(page.Refused, login)
		}
	}
	slices.Sort(page.Approved)
	slices.Sort(page.Refused)
	if page.Checks, err = from.Checks(full, page.HeadSHA); err != nil {
		return err
	}
	if page.Patch, err = from.Patch(full, number); err != nil {
		return err
	}
	if page.State == "open" {
		if page.Blockers, err = from.Blockers(full, number); err != nil {
			return err
		}
		page.Files, err = from.Files(page.HeadRepo.FullName(), page.HeadSHA)
	}
	return err
}

func (p *Page) issue(v *visit) error {
	i, err := p.People.Issue(v.full, v.number)
	if err != nil {
		return err
	}
	if i.IsPull {
		return v.redirect(fmt.Sprintf("/%s/pull/%d", v.full, v.number))
	}
	comments, err := p.People.Comments(v.full, v.number)
	if err != nil {
		return err
	}
	role, err := p.People.Role(v.full, v.me)
	if err != nil {
		return err
	}
	return p.render(v, "issue.html", fmt.Sprintf("%s · #%d", i.Title, i.Number), struct {
		record.Issue
		Page    string
		Thread  []entry
		Role    record.Permission
		MayEdit bool
	}{i, fmt.Sprintf("/%s/issues/%d", v.full, v.number), thread(nil, comments, nil), role, role.AtLeast("triage") || strings.EqualFold(i.Author.Login, v.me)})
}

// issues lists the issues of a repository.
func (p *Page) issues(v *visit) error {
	r, err := p.People.Repo(v.full)
	if err != nil {
		return err
	}
	l, err := p.list(r)
	if err != nil {
		return err
	}
	return p.render(v, "issues.html", "Issues of "+l.FullName(), l)
}

// file opens an issue.
func (p *Page) file(v *visit) error {
	i, err := p.People.FileIssue(v.me, v.full, record.NewIssue{Title: v.FormValue("title"), Body: strings.ReplaceAll(v.FormValue("body"), "\r\n", "\n")})
	if err != nil {
		return v.done(fmt.Sprintf("/%s/issues", v.full), "", err)
	}
	return v.redirect(fmt.Sprintf("/%s/issues/%d", v.full, i.Number))
}

func (p *Page) check(v *visit) error {
	id, err := strconv.ParseInt(v.PathValue("id"), 10, 64)
	if err != nil {
		return record.NotFound()
	}
	c, err := p.People.CheckRun(v.full, id)
	if err != nil {
		return err
	}
	role, err := p.People.Role(v.full, v.me)
	if err != nil {
		return err
	}
	return p.render(v, "check.html", c.Name, struct {
		record.CheckRun
		MayWrite bool
	}{c, role.AtLeast("write")})
}

func (p *Page) press(v *visit) error {
	id, err := strconv.ParseInt(v.PathValue("id"), 10, 64)
	if err != nil {
		return record.NotFound()
	}
	if button := v.FormValue("press"); button != "" {
		err = p.People.PressButton(v.me, v.full, id, button)
	} else {
		err = p.People.RerequestCheck(v.me, v.full, id)
	}
	return v.done(cmp.Or(v.FormValue("back"), fmt.Sprintf("/%s/runs/%d", v.full, id)), "#merge", err)
}

// act does what a button of a pull request's (or an issue's) page says.
func (p *Page) act(v *visit) error {
	full, n, body := v.full, v.number, strings.ReplaceAll(v.FormValue("body"), "\r\n", "\n")
	path, anchor := fmt.Sprintf("/%s/pull/%d", full, n), "#end"
	i, err := p.People.Issue(full, n)
	if err != nil {
		return err
	}
	if !i.IsPull {
		path = fmt.Sprintf("/%s/issues/%d", full, n)
	}
	switch do := v.FormValue("do"); do {
	case "comment":
		_, err = p.People.Comment(v.me, full, n, body)
	case "APPROVE", "REQUEST_CHANGES":
		_, err = p.People.Review(v.me, full, n, do, body)
	case "dismiss":
		var id int64
		if id, err = strconv.ParseInt(v.FormValue("review"), 10, 64); err == nil {
			_, err = p.People.DismissReview(v.me, full, n, id)
		}
	case "merge", "squash", "rebase":
		_, err = p.People.Merge(v.me, full, n, do)
	case "close":
		err = p.closeOrReopen(v, i, p.People.ClosePull, p.People.CloseIssue)
	case "reopen":
		err = p.closeOrReopen(v, i, p.People.ReopenPull, p.People.ReopenIssue)
	case "draft":
		err = p.People.Draft(v.me, full, n)
	case "ready":
		err = p.People.Ready(v.me, full, n)
	default:
		err = &record.Error{Status: http.StatusBadRequest, Message: "There is no such button: " + do}
	}
	return v.done(path, anchor, err)
}

// closeOrReopen does to a pull request the one thing, to an issue the other.
func (p *Page) closeOrReopen(v *visit, i record.Issue, pull, issue func(as, repo string, number int) error) error {
	if i.IsPull {
		return pull(v.me, v.full, v.number)
	}
	return issue(v.me, v.full, v.number)
}
