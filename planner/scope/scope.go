// Package scope finds out what a pull request touches: it checks the merge of
// head and base out and reads which projects the change concerns.
package scope

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/project/module"
	"weir/planner/record"
	"weir/planner/work"
	"weir/policy"
)

// PullRequest is a pull request as GitHub shows it now.
type PullRequest struct {
	policy.Pull
	Title     string
	URL       string // its page
	HeadRef   string
	BaseSHA   string
	Fork      bool   // its head is in another repository
	CloneURL  string // of the base repository, without credentials
	MergedAs  string // merge commit, once merged
	UpdatedAt time.Time
}

// Request names what to check out for a pull request.
func Request(repo string, pr PullRequest) checkout.Request {
	return checkout.Request{
		Repo: repo, CloneURL: pr.CloneURL, Pull: pr.Number,
		BaseRef: pr.Base, HeadRef: pr.HeadRef, Head: pr.Head,
	}
}

// Again names the checkout of a merge of base and head that was planned, with
// all that was checked out then.
func Again(rec *record.Record, pr PullRequest, base, head string) checkout.Request {
	req := Request(rec.Repo, pr)
	req.Base, req.Head = base, head
	req.Submodules, req.LFS = rec.Submodules, rec.LFS
	return req
}

// Finder finds scopes.
type Finder struct {
	Checkouts *checkout.Repos
}

// Scope is what a plan job works on.
type Scope struct {
	Checkout        *checkout.Checkout
	Submodules, LFS bool // what the base branch wants checked out beside the files
	Set             *project.Set
	Projects        []project.Project // touched by the pull request, or asked for, sorted by ID
	Asked           []string          // IDs that the command names; nil: all
	Mode            policy.Mode       // of the base branch
	Automerge       string            // of the base branch; "" for off
	Unknown         string            // why the command names no project here, for people
	Failure         string            // why nothing can be planned, for people; then only Notes may be set beside it
	Notes           []string          // what the reader should know, in sentences
}

// Find says what the pull request touches, or what a command names. What is
// wrong with the pull request comes back as Failure. Of a merged one those
// projects are found that known has.
func (f Finder) Find(ctx context.Context, repo string, pr PullRequest, known *record.Record, command *work.Command) (*Scope, error) {
	req := Request(repo, pr)
	if pr.Merged {
		req.Head = pr.MergedAs // main itself, with what was merged
	}
	co, err := f.Checkouts.Open(ctx, req)
	var conflict *checkout.ConflictError
	if errors.As(err, &conflict) {
		return &Scope{Mode: policy.OnApproval, Failure: fmt.Sprintf("%s cannot be merged into %s; conflicts in:\n%s\nMerge or rebase, and push.",
			policy.Short(conflict.Head), pr.Base, strings.Join(conflict.Files, "\n"))}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &Scope{Checkout: co, Mode: policy.OnApproval}

	// The guard comes from the base branch (I7); the pull request's own
	// version of it only says which projects there are.
	base, failure, err := f.BaseConfig(ctx, repo, co.Base)
	if err != nil {
		return nil, err
	}
	if failure != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("%s of %s is broken, so nothing can be applied until it is mended: %s", project.File, pr.Base, failure))
	} else {
		s.Mode = policy.Mode(base.Apply)
		if base.Automerge != "off" {
			s.Automerge = base.Automerge
		}
	}
	if slices.Contains(co.Changed, project.File) {
		s.Notes = append(s.Notes, project.File+" is changed here: its projects count at once, everything else (apply, automerge, approvals) once it is merged.")
	}

	if base != nil && (base.Checkout.Submodules || base.Checkout.LFS) {
		req.Submodules, req.LFS = base.Checkout.Submodules, base.Checkout.LFS
		s.Submodules, s.LFS = req.Submodules, req.LFS
		co, err = f.Checkouts.Open(ctx, req)
		var bad *checkout.SubmoduleError
		if errors.As(err, &bad) {
			s.Failure = fmt.Sprintf("The submodule %s cannot be checked out: %s.", bad.Path, bad.Reason)
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		s.Checkout = co
	}
	if s.Set, s.Failure = Discover(co.Root); s.Failure != "" {
		return s, nil
	}
	before, err := f.before(ctx, repo, co, s.Set, base)
	if err != nil {
		return nil, err
	}
	s.Projects = s.Set.Affected(co.Changed, before)
	s.revert(pr.HeadRef)
	if pr.Merged {
		s.Projects = slices.DeleteFunc(slices.Clone(s.Set.Projects), func(p project.Project) bool {
			return !slices.ContainsFunc(known.Projects, func(k record.ProjectRecord) bool { return k.Dir == p.Dir && k.Workspace == p.Workspace })
		})
	}
	for _, problem := range s.Set.Told(co.Changed, s.Projects) {
		if !s.terraformTells(problem) {
			s.Notes = append(s.Notes, problem.String())
		}
	}
	s.narrow(command)
	return s, nil
}

// Discover finds the projects of a checkout by its own weir.yaml.
func Discover(root string) (set *project.Set, failure string) {
	cfg, err := project.Load(root)
	if err != nil {
		return nil, err.Error()
	}
	if set, err = project.Discover(root, cfg); err != nil {
		return nil, err.Error()
	}
	return set, ""
}

// before finds the projects of the base branch, so that a change cannot keep
// one of them from being planned (I7) and a deleted one is told.
func (f Finder) before(ctx context.Context, repo string, co *checkout.Checkout, set *project.Set, cfg *project.Config) (*project.Set, error) {
	names, err := f.Checkouts.List(ctx, repo, co.Base)
	if err != nil {
		return nil, err
	}
	var was project.Tree
	var code []string
	for _, name := range co.Changed {
		if _, ok := slices.BinarySearch(names, name); !ok {
			continue
		}
		was.Files = append(was.Files, name)
		if module.IsSource(name) {
			code = append(code, name)
		}
	}
	contents := sync.OnceValues(func() (map[string][]byte, error) { return f.Checkouts.Files(ctx, repo, co.Base, code...) })
	was.Read = func(name string) ([]byte, error) {
		files, err := contents()
		if err != nil {
			return nil, err
		}
		if content, ok := files[name]; ok {
			return content, nil
		}
		return f.Checkouts.File(ctx, repo, co.Base, name)
	}
	return set.Before(cfg, co.Changed, was)
}

// terraformTells says that a problem is in a file of a project that is
// planned: terraform will say so itself.
func (s *Scope) terraformTells(problem project.Problem) bool {
	return problem.File != "" && problem.File != project.File && slices.ContainsFunc(s.Projects, func(p project.Project) bool {
		return p.Dir == path.Dir(problem.File) && !p.Deleted && p.Refused == ""
	})
}

// narrow applies what a command names. A project that is named but not
// touched is added; a name that fits nothing is the user's mistake.
func (s *Scope) narrow(c *work.Command) {
	if !c.Narrows() {
		return
	}
	s.Asked = []string{}
	for _, p := range s.Projects {
		if Selects(c, p.ID(), p.Dir, p.Workspace) {
			s.Asked = append(s.Asked, p.ID())
		}
	}
	for _, p := range s.Set.Projects {
		if Selects(c, p.ID(), p.Dir, p.Workspace) && !slices.Contains(s.Asked, p.ID()) {
			s.Asked = append(s.Asked, p.ID())
			s.Projects = append(s.Projects, p)
		}
	}
	slices.SortFunc(s.Projects, func(a, b project.Project) int { return strings.Compare(a.ID(), b.ID()) })
	if len(s.Asked) == 0 {
		s.Unknown = fmt.Sprintf("There is no project with %s here. Projects: %s", Describe(c), ids(s.Set.Projects))
	}
}

// Selects reports whether a command's options select a project. A
// directory is a whole directory: envs/prod does not name envs/prod-eu.
func Selects(c *work.Command, id, dir, workspace string) bool {
	if c == nil {
		return true
	}
	return (c.Project == "" || c.Project == id) &&
		(c.Dir == "" || path.Clean(c.Dir) == dir) &&
		(c.Workspace == "" || c.Workspace == workspace)
}

// Describe writes a command's options as they were written.
func Describe(c *work.Command) string {
	var parts []string
	for _, part := range []struct{ flag, value string }{{"-p", c.Project}, {"-d", c.Dir}, {"-w", c.Workspace}} {
		if part.value != "" {
			parts = append(parts, "`"+part.flag+" "+part.value+"`")
		}
	}
	return strings.Join(parts, ", ")
}

func ids(projects []project.Project) string {
	const most = 30
	var names []string
	for i, p := range projects {
		if i == most {
			return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(projects)-most)
		}
		names = append(names, p.ID())
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// BaseConfig reads weir.yaml as it stands in a commit of the base branch.
func (f Finder) BaseConfig(ctx context.Context, repo, base string) (cfg *project.Config, failure string, err error) {
	data, err := f.Checkouts.File(ctx, repo, base, project.File)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = nil, nil
	}
	if err != nil {
		return nil, "", err
	}
	if cfg, err = project.Parse(project.File, data); err != nil {
		return nil, err.Error(), nil //nolint:nilerr // a mistake in weir.yaml is told, and no error of ours
	}
	return cfg, "", nil
}
