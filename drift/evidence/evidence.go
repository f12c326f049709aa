// Package evidence gathers what it takes to say why something differs, beside
// the plan that shows it: the last apply of a project, the commits since, and
// which blocks each of them changed.
package evidence

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"slices"

	"weir/drift/kind"
	"weir/planner/checkout"
	"weir/planner/ledger"
	"weir/planner/project"
	"weir/planner/terraform/plan"
	"weir/store"
)

// maxCommits is how many commits since the last apply are looked at.
const maxCommits = 30

// Gatherer finds evidence. All fields are needed.
type Gatherer struct {
	Store     store.Store
	Checkouts *checkout.Repos
	Log       *slog.Logger
}

// Place is the code that a plan was made of.
type Place struct {
	Repo string
	Root string // absolute path of its files
	Head string // commit of the default branch, or of the one that a pull request is against
	Own  *Own   // what a pull request adds to it; nil: nothing
}

// Own is what a pull request adds to the branch that it is against.
type Own struct {
	Pull  int
	Merge string   // commit of the place's files
	Files []string // that differ between the place's Head and Merge
}

// Plan is what a plan of a project came to.
type Plan struct {
	Summary   plan.Summary
	Terraform string            // version
	Providers map[string]string // version by source address
}

// Of gathers the evidence for a plan of a project. Where the plan differs in
// nothing there is nothing to gather. Commits that cannot be looked into may
// have changed anything, which is no error: an error is that of the store, of
// Git, or of ctx.
func (g Gatherer) Of(ctx context.Context, at Place, p project.Project, made Plan) (kind.Evidence, error) {
	e := kind.Evidence{Summary: made.Summary, Now: kind.Versions{Terraform: made.Terraform, Providers: made.Providers}}
	if made.Summary.Empty() && len(made.Summary.Drift) == 0 {
		return e, nil
	}
	last, ok, err := ledger.Read(ctx, g.Store, at.Repo, p.ID())
	if err != nil {
		return e, err
	}
	from := ""
	if ok && last.Last.Dir == p.Dir && last.Last.Workspace == p.Workspace { // and not another of that name
		e.Applied = applied(last.Last)
		from = last.Last.Base
		contains, err := g.Checkouts.Contains(ctx, at.Repo, at.Head, from)
		var gone *checkout.GoneError
		switch {
		case errors.As(err, &gone), err == nil && !contains:
			e.Applied.Gone, from = true, ""
		case err != nil:
			return e, err
		}
	}
	paths := filesOf(p)
	commits, err := g.Checkouts.Commits(ctx, at.Repo, from, at.Head, maxCommits, paths...)
	if err != nil {
		return e, err
	}
	ids := make([]string, len(commits))
	for i, c := range commits {
		ids[i] = c.ID
	}
	pulls, err := ledger.Merges(ctx, g.Store, at.Repo, ids...)
	if err != nil {
		return e, err
	}
	tip := at.Head
	if own := at.Own; own != nil {
		if e.Applied != nil && e.Applied.Pull == own.Pull {
			e.Applied.State = "" // being open is no news to itself
		}
		e.Own, tip = own.Pull, own.Merge
		e.Since = append(e.Since, kind.Touch{Commit: own.Merge, Pull: own.Pull})
		commits = slices.Insert(commits, 0, checkout.Commit{ID: own.Merge, Parent: at.Head, Files: own.Files})
	}
	for _, c := range commits[len(e.Since):] {
		e.Since = append(e.Since, kind.Touch{Commit: c.ID, Pull: pulls[c.ID]})
	}
	for i, c := range commits {
		e.Since[i].Files = checkout.Below(c.Files, paths...) // of its own ones all are looked at for blocks
	}
	e.Now.Modules, err = g.touched(ctx, at, tip, p, commits, e.Since)
	return e, err
}

func applied(e ledger.Entry) *kind.Apply {
	a := &kind.Apply{
		Commit: e.Base, Pull: e.Pull, When: e.When, Failed: !e.Whole(), Inputs: e.Inputs, MergedAs: e.Fate.MergedAs,
		Blocks: e.Blocks, More: e.Fate.Head != "" && e.Fate.Head != e.Head,
		Versions: kind.Versions{Terraform: e.Terraform, Providers: e.Providers, Modules: e.Modules},
	}
	switch {
	case e.Fate.Merged:
		a.State = kind.Landed
	case e.Fate.Closed:
		a.State = kind.Closed
	default:
		a.State = kind.Open
	}
	return a
}

// filesOf are the paths that a project is made of.
func filesOf(p project.Project) []string {
	paths := append([]string{p.Dir}, p.Modules...)
	for _, file := range p.VarFiles {
		paths = append(paths, path.Join(p.Dir, file))
	}
	return paths
}
