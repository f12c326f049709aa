package issue

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"weir/server/github/rest"
)

// RefusedError says that weir cannot keep issues in a repository before a
// person has changed something at GitHub: issues are turned off there, the
// repository is archived, or weir may not write issues. Nothing was done, and
// asking again soon does not help. What may go well later by itself (rate
// limits, GitHub being down) is never a RefusedError.
type RefusedError struct {
	Repo string
	// Sentence is for people, in plain text without markup: what is wrong,
	// and what to do about it. It ends with a full stop, and holds nothing
	// that is GitHub's own text but names.
	Sentence string

	cause error // operation, object and GitHub's words
}

func (e *RefusedError) Error() string {
	if e.cause == nil {
		return e.Sentence
	}
	return e.cause.Error()
}

// Unwrap returns what GitHub answered, an *rest.Error or *rest.NotFoundError.
func (e *RefusedError) Unwrap() error { return e.cause }

// refused makes a RefusedError of a refusal that lasts, and leaves every other
// error as it is.
//
// The statuses and messages are of GitHub's REST documentation: page "Issues"
// (410 where issues are turned off), page "Troubleshooting the REST API" (403
// "Resource not accessible by integration" or "by personal access token": a
// permission is missing; 404 for what a token may not see), and page "Rate
// limits" (403 also for limits, which package rest knows by headers; should one
// come without any, its message names it).
func refused(repo string, err error) error {
	if already := (*RefusedError)(nil); errors.As(err, &already) {
		return err
	}
	message := ""
	var answered *rest.Error
	if errors.As(err, &answered) {
		message = strings.ToLower(answered.Message)
	}
	says := func(part string) bool { return strings.Contains(message, part) }
	why := ""
	switch rest.StatusOf(err) {
	case http.StatusGone:
		why = fmt.Sprintf("Issues are turned off in %s. Turn them on in its settings (General, Features).", repo)
	case http.StatusNotFound:
		why = fmt.Sprintf("GitHub does not show weir the issues of %s. weir's App or token needs access to this repository, "+
			"and the permission Issues with “Read and write”.", repo)
	case http.StatusForbidden:
		switch {
		case says("rate limit"), says("abuse detection"):
		case says("not accessible by integration"):
			why = fmt.Sprintf("weir's GitHub App may not write issues in %s. Give the App the repository permission Issues with “Read and write”; "+
				"an owner of the account where it is installed must then accept the new permission.", repo)
		case says("archived"):
			why = fmt.Sprintf("%s is archived, so that its issues cannot change. Unarchive it, or end the checks of drift there.", repo)
		case says("suspended"):
			why = fmt.Sprintf("The installation of weir's GitHub App for %s is suspended. Unsuspend it in the settings of the account where it is installed.", repo)
		case says("saml"), says("single sign-on"):
			why = fmt.Sprintf("The organization of %s wants single sign-on. Authorize weir's token for it, in the settings of the account that the token belongs to.", repo)
		case says("ip allow list"):
			why = fmt.Sprintf("The organization of %s allows only certain IP addresses. Add the address of weir's server to its IP allow list.", repo)
		default:
			why = fmt.Sprintf("weir may not write issues in %s. Its token or GitHub App needs the permission Issues with “Read and write” there, "+
				"and the account of a token must be able to write to the repository.", repo)
		}
	}
	if why == "" {
		return err
	}
	return &RefusedError{Repo: repo, Sentence: why, cause: err}
}

// lost tells an issue that is gone for good from one that is not shown now,
// and leaves every other error as it is. The status 410 is of both an issue
// that was deleted and a repository in which issues are turned off; the
// message tells which.
func lost(repo, what string, err error) error {
	var answered *rest.Error
	isGone := errors.As(err, &answered) && answered.Status == http.StatusGone
	switch {
	case isGone && !strings.Contains(strings.ToLower(answered.Message), "disabled"):
		return &rest.NotFoundError{What: what, Message: "it was deleted"}
	case isGone, rest.StatusOf(err) == http.StatusForbidden:
		return refused(repo, err)
	}
	return err
}
