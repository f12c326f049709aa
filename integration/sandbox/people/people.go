// Package people does what people do on GitHub: each method acts as somebody,
// by login, with that person's permissions, and what GitHub would refuse is
// refused with a *record.Error.
package people

import (
	"context"
	"slices"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/checks"
	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/talk"
)

// People act on a hub, whose own methods ask nobody for permission.
type People struct {
	*hub.Hub
	*talk.Talk
	*checks.Runs
}

// As is the identity of a person, who is made where there is none.
func (s *People) As(login string) account.Identity {
	return account.Identity{Kind: account.ByUser, User: s.User(login)}
}

func (s *People) may(as, repo string, role record.Permission) (account.Identity, error) {
	who := s.As(as)
	return who, s.Allow(who, repo, hub.Need{Level: "write", Role: role})
}

// OpenPull opens a pull request.
func (s *People) OpenPull(as string, n hub.NewPull) (record.Pull, error) {
	who, err := s.may(as, n.Repo, "read")
	if err != nil {
		return record.Pull{}, err
	}
	return s.Hub.OpenPull(who, n)
}

// Comment comments on a pull request or an issue.
func (s *People) Comment(as, repo string, number int, body string) (record.Comment, error) {
	who, err := s.may(as, repo, "read")
	if err != nil {
		return record.Comment{}, err
	}
	return s.AddComment(who, repo, number, body)
}

// FileIssue opens an issue.
func (s *People) FileIssue(as, repo string, n record.NewIssue) (record.Issue, error) {
	who, err := s.may(as, repo, "read")
	if err != nil {
		return record.Issue{}, err
	}
	return s.OpenIssue(who, repo, n)
}

// CloseIssue closes an issue.
func (s *People) CloseIssue(as, repo string, number int) error {
	return s.setIssue(as, repo, number, "closed")
}

// ReopenIssue opens a closed issue again.
func (s *People) ReopenIssue(as, repo string, number int) error {
	return s.setIssue(as, repo, number, "open")
}

// setIssue lets the author of an issue and people with triage rights pass.
func (s *People) setIssue(as, repo string, number int, state string) error {
	i, err := s.Issue(repo, number)
	if err != nil {
		return err
	}
	if i.IsPull {
		return record.NotFound()
	}
	role := record.Permission("triage")
	if i.Author.ID == s.User(as).ID {
		role = "read"
	}
	who, err := s.may(as, repo, role)
	if err != nil {
		return err
	}
	_, err = s.EditIssue(who, repo, number, record.Edit{State: &state})
	return err
}

// Review reviews a pull request; state is APPROVE, REQUEST_CHANGES or COMMENT.
func (s *People) Review(as, repo string, number int, state, body string) (record.Review, error) {
	who, err := s.may(as, repo, "read")
	if err != nil {
		return record.Review{}, err
	}
	return s.AddReview(who, repo, number, hub.NewReview{Event: state, Body: body})
}

// DismissReview dismisses a review.
func (s *People) DismissReview(as, repo string, number int, id int64) (record.Review, error) {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return record.Review{}, err
	}
	return s.Dismiss(who, repo, number, id)
}

// Merge merges a pull request by a method, "" for a merge commit, and returns
// the new commit of its base.
func (s *People) Merge(as, repo string, number int, method string) (string, error) {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return "", err
	}
	return s.Hub.Merge(who, repo, number, hub.MergeOptions{Method: method})
}

// ClosePull closes a pull request without merging it.
func (s *People) ClosePull(as, repo string, number int) error {
	state := "closed"
	return s.editPull(as, repo, number, record.Edit{State: &state})
}

// ReopenPull opens a closed pull request again.
func (s *People) ReopenPull(as, repo string, number int) error {
	state := "open"
	return s.editPull(as, repo, number, record.Edit{State: &state})
}

// EditBase retargets a pull request.
func (s *People) EditBase(as, repo string, number int, base string) error {
	return s.editPull(as, repo, number, record.Edit{Base: &base})
}

// EditTitle changes the title of a pull request.
func (s *People) EditTitle(as, repo string, number int, title string) error {
	return s.editPull(as, repo, number, record.Edit{Title: &title})
}

func (s *People) editPull(as, repo string, number int, e record.Edit) error {
	who, err := s.author(as, repo, number)
	if err != nil {
		return err
	}
	_, err = s.Hub.EditPull(who, repo, number, e)
	return err
}

// author lets the author of a pull request and people with triage rights pass.
func (s *People) author(as, repo string, number int) (account.Identity, error) {
	p, err := s.Pull(repo, number)
	if err != nil {
		return account.Identity{}, err
	}
	if p.Author.ID == s.User(as).ID {
		return s.may(as, repo, "read")
	}
	return s.may(as, repo, "triage")
}

// Draft makes a pull request a draft.
func (s *People) Draft(as, repo string, number int) error {
	who, err := s.author(as, repo, number)
	if err != nil {
		return err
	}
	return s.SetDraft(who, repo, number, true)
}

// Ready marks a draft as ready for review.
func (s *People) Ready(as, repo string, number int) error {
	who, err := s.author(as, repo, number)
	if err != nil {
		return err
	}
	return s.SetDraft(who, repo, number, false)
}

// PressButton presses a button of a check run, by the identifier of its
// action.
func (s *People) PressButton(as, repo string, check int64, identifier string) error {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return err
	}
	return s.Press(who, repo, check, identifier)
}

// RerequestCheck asks for a check run again.
func (s *People) RerequestCheck(as, repo string, check int64) error {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return err
	}
	return s.Rerequest(who, repo, check)
}

// Checks returns the newest check run of each name on a commit, and the newest
// status of each context as if it were one: a pending status has no conclusion.
func (s *People) Checks(repo, sha string) ([]record.CheckRun, error) {
	all, err := s.CheckRuns(repo, sha, true)
	if err != nil {
		return nil, err
	}
	statuses, err := s.CommitStatuses(repo, sha, true)
	if err != nil {
		return nil, err
	}
	for _, v := range statuses {
		c := record.CheckRun{
			ID: v.ID, Repo: v.Repo, HeadSHA: v.SHA, Name: v.Context, Title: v.Description, DetailsURL: v.TargetURL,
			Status: "completed", Conclusion: v.State, Started: v.Created, Completed: v.Updated,
		}
		if v.State == "pending" {
			c.Status, c.Conclusion = "in_progress", ""
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b record.CheckRun) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Statuses returns all commit statuses of a commit, the newest first.
func (s *People) Statuses(repo, sha string) ([]record.Status, error) {
	return s.CommitStatuses(repo, sha, false)
}

// Files lists the paths of a commit or branch.
func (s *People) Files(repo, commit string) ([]string, error) {
	git, err := s.Git(repo)
	if err != nil {
		return nil, err
	}
	return git.Files(context.Background(), commit)
}

// File returns the content of a file, or false where there is none.
func (s *People) File(repo, commit, path string) (string, bool, error) {
	git, err := s.Git(repo)
	if err != nil {
		return "", false, err
	}
	return git.File(context.Background(), commit, path)
}

// Patch returns what a pull request changes, as a unified diff.
func (s *People) Patch(repo string, number int) (string, error) {
	p, err := s.Pull(repo, number)
	if err != nil {
		return "", err
	}
	git, err := s.Git(repo)
	if err != nil {
		return "", err
	}
	return git.Patch(context.Background(), p.BaseSHA, p.HeadSHA)
}

// Commits returns the commits of a pull request, the oldest first.
func (s *People) Commits(repo string, number int) ([]gitrepo.Info, error) {
	p, err := s.Pull(repo, number)
	if err != nil {
		return nil, err
	}
	git, err := s.Git(repo)
	if err != nil {
		return nil, err
	}
	return git.Log(context.Background(), p.BaseSHA, p.HeadSHA)
}
