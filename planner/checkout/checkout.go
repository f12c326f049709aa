// Package checkout keeps the files that weir plans: one Git mirror a
// repository, one worktree a pull request. Objects are fetched once. What is
// planned is the merge of the pull request's head into its base, made here.
package checkout

import (
	"fmt"
	"strings"
)

// Request names what to check out.
type Request struct {
	Repo     string // owner/name
	CloneURL string // without credentials
	Pull     int
	BaseRef  string // branch name, such as "main"
	HeadRef  string // branch name in the same repository; a hint only
	Head     string // full commit id
}

// Checkout is a pull request's worktree at the merge of head into base.
type Checkout struct {
	Root    string   // absolute path of the worktree
	Base    string   // commit of the base branch that was merged into
	Head    string   // as requested
	Merge   string   // the merge commit; equal for equal Base and Head
	Tree    string   // its tree
	Changed []string // files that differ between Base and Merge, slash-separated, sorted; renames count as both names
}

// ConflictError says that head cannot be merged into base.
type ConflictError struct {
	Base, Head string
	Files      []string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%.7s does not merge into %.7s: conflicts in %s", e.Head, e.Base, strings.Join(e.Files, ", "))
}

// GoneError says that a commit or branch is no longer in the repository, such
// as a head that was pushed over before it was fetched.
type GoneError struct {
	Repo, What string
}

func (e *GoneError) Error() string { return e.Repo + " has no " + e.What }
