package sandbox

import (
	"context"
	"slices"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
)

// What people do. Each method acts as somebody, by login, with that person's
// permissions: what GitHub would refuse is refused with a *record.Error.

// As is the identity of a person, who is made where there is none.
func (s *Sandbox) As(login string) account.Identity {
	return account.Identity{Kind: account.ByUser, User: s.User(login)}
}

func (s *Sandbox) may(as, repo string, role Permission) (account.Identity, error) {
	who := s.As(as)
	return who, s.Allow(who, repo, hub.Need{Level: "write", Role: role})
}

// OpenPull opens a pull request.
func (s *Sandbox) OpenPull(as string, n NewPull) (Pull, error) {
	who, err := s.may(as, n.Repo, "read")
	if err != nil {
		return Pull{}, err
	}
	return s.Hub.OpenPull(who, n)
}

// Comment comments on a pull request or an issue.
func (s *Sandbox) Comment(as, repo string, number int, body string) (Comment, error) {
	who, err := s.may(as, repo, "read")
	if err != nil {
		return Comment{}, err
	}
	return s.AddComment(who, repo, number, body)
}

// Review reviews a pull request; state is APPROVE, REQUEST_CHANGES or COMMENT.
func (s *Sandbox) Review(as, repo string, number int, state, body string) (Review, error) {
	who, err := s.may(as, repo, "read")
	if err != nil {
		return Review{}, err
	}
	return s.AddReview(who, repo, number, hub.NewReview{Event: state, Body: body})
}

// DismissReview dismisses a review.
func (s *Sandbox) DismissReview(as, repo string, number int, id int64) (Review, error) {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return Review{}, err
	}
	return s.Dismiss(who, repo, number, id)
}

// Merge merges a pull request by a method, "" for a merge commit, and returns
// the new commit of its base.
func (s *Sandbox) Merge(as, repo string, number int, method string) (string, error) {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return "", err
	}
	return s.Hub.Merge(who, repo, number, hub.MergeOptions{Method: method})
}

// ClosePull closes a pull request without merging it.
func (s *Sandbox) ClosePull(as, repo string, number int) error {
	state := "closed"
	return s.editPull(as, repo, number, Edit{State: &state})
}

// ReopenPull opens a closed pull request again.
func (s *Sandbox) ReopenPull(as, repo string, number int) error {
	state := "open"
	return s.editPull(as, repo, number, Edit{State: &state})
}

// EditBase retargets a pull request.
func (s *Sandbox) EditBase(as, repo string, number int, base string) error {
	return s.editPull(as, repo, number, Edit{Base: &base})
}

// EditTitle changes the title of a pull request.
func (s *Sandbox) EditTitle(as, repo string, number int, title string) error {
	return s.editPull(as, repo, number, Edit{Title: &title})
}

func (s *Sandbox) editPull(as, repo string, number int, e Edit) error {
	who, err := s.author(as, repo, number)
	if err != nil {
		return err
	}
	_, err = s.Hub.EditPull(who, repo, number, e)
	return err
}

// author lets the author of a pull request and people with triage rights pass.
func (s *Sandbox) author(as, repo string, number int) (account.Identity, error) {
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
func (s *Sandbox) Draft(as, repo string, number int) error {
	who, err := s.author(as, repo, number)
	if err != nil {
		return err
	}
	return s.SetDraft(who, repo, number, true)
}

// Ready marks a draft as ready for review.
func (s *Sandbox) Ready(as, repo string, number int) error {
	who, err := s.author(as, repo, number)
	if err != nil {
		return err
	}
	return s.SetDraft(who, repo, number, false)
}

// PressButton presses a button of a check run, by the identifier of its
// action.
func (s *Sandbox) PressButton(as, repo string, check int64, identifier string) error {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return err
	}
	return s.Press(who, repo, check, identifier)
}

// RerequestCheck asks for a check run again.
func (s *Sandbox) RerequestCheck(as, repo string, check int64) error {
	who, err := s.may(as, repo, "write")
	if err != nil {
		return err
	}
	return s.Rerequest(who, repo, check)
}

// Checks returns the newest check run of each name on a commit, and the newest
// status of each context as if it were one: a pending status has no conclusion.
func (s *Sandbox) Checks(repo, sha string) ([]CheckRun, error) {
	checks, err := s.CheckRuns(repo, sha, true)
	if err != nil {
		return nil, err
	}
	statuses, err := s.CommitStatuses(repo, sha, true)
	if err != nil {
		return nil, err
	}
	for _, v := range statuses {
		c := CheckRun{ID: v.ID, Repo: v.Repo, HeadSHA: v.SHA, Name: v.Context, Title: v.Description, DetailsURL: v.TargetURL,
			Status: "completed", Conclusion: v.State, Started: v.Created, Completed: v.Updated}
		if v.State == "pending" {
			c.Status, c.Conclusion = "in_progress", ""
		}
		checks = append(checks, c)
	}
	slices.SortFunc(checks, func(a, b CheckRun) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return checks, nil
}

// Statuses returns all commit statuses of a commit, the newest first.
func (s *Sandbox) Statuses(repo, sha string) ([]Status, error) {
	return s.CommitStatuses(repo, sha, false)
}

// Files lists the paths of a commit or branch.
func (s *Sandbox) Files(repo, commit string) ([]string, error) {
	git, err := s.Git(repo)
	if err != nil {
		return nil, err
	}
	return git.Files(context.Background(), commit)
}

// File returns the content of a file, or false where there is none.
func (s *Sandbox) File(repo, commit, path string) (string, bool, error) {
	git, err := s.Git(repo)
	if err != nil {
		return "", false, err
	}
	return git.File(context.Background(), commit, path)
}
