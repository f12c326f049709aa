package finding

import (
	"net/url"
	"strings"
)

// Repository is what GitHub says of one.
type Repository struct {
	Name     string // owner/name, as GitHub spells it now
	Branch   string // the default one
	CloneURL string // without credentials
}

// Issue is an issue at GitHub, as far as drift cares.
type Issue struct {
	Number    int
	Title     string
	Body      string
	Open      bool
	Labels    []string
	Assignees []string // logins
}

// Label is on every issue that weir opens about drift; they are found by it
// and by the marker that their bodies begin with.
const Label = "drift"

// Marker is the hidden first line of a project's issue, by which it is found
// again: it names the project exactly.
func Marker(project string) string { return markerStart + url.PathEscape(project) + markerEnd }

const (
	markerStart = "<!-- weir kind=drift project="
	markerEnd   = " -->"
)

// ProjectOf returns the project whose issue has a body, "" where it is none.
func ProjectOf(body string) string {
	line, _, _ := strings.Cut(body, "\n")
	line, ok := strings.CutPrefix(strings.TrimRight(line, "\r "), markerStart)
	name, closed := strings.CutSuffix(line, markerEnd)
	project, err := url.PathUnescape(name)
	if !ok || !closed || err != nil {
		return ""
	}
	return project
}

// Branch is a change of files to be proposed: a branch of weir's own, and the
// pull request that is opened from it.
type Branch struct {
	Name    string            // of the branch, such as weir/drift/revert-envs-prod
	Base    string            // branch that the pull request is against
	Commit  string            // of Base, that the change is made on
	Message string            // of the commit
	Files   map[string][]byte // by path; nil content removes the file. Without any the commit is empty
	Title   string
	Body    string
}

// Proposed is a pull request of weir's own.
type Proposed struct {
	Number int
	URL    string
	Head   string // commit
}
