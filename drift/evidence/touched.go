package evidence

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"slices"

	"weir/drift/kind"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/project/blocks"
)

// touched fills in which blocks of a project commits changed: touches[i] is of
// commits[i], which are all that touched its files before tip, the commit of
// the place's files, the newest first. It returns the versions that the project's
// module calls ask for now. What cannot be found out is left nil, which is no
// error: an error is that of ctx.
func (g Gatherer) touched(ctx context.Context, at Place, tip string, p project.Project, commits []checkout.Commit, touches []kind.Touch) (map[string]string, error) {
	names, ok := g.names(ctx, at, tip, p)
	if !ok {
		return nil, context.Cause(ctx)
	}
	reads := func(name string) bool { return !blocks.Reads(p, name) }
	wanted := map[string][]string{tip: names}
	for _, c := range commits {
		if some := slices.DeleteFunc(slices.Clone(c.Files), reads); c.Parent != "" && len(some) > 0 {
			wanted[c.Parent] = append(wanted[c.Parent], some...)
		}
	}
	files, err := g.Checkouts.FilesAt(ctx, at.Repo, wanted)
	if err != nil {
		g.Log.Warn("cannot read what commits changed", "repo", at.Repo, "project", p.ID(), "commit", tip, "err", err)
		return nil, context.Cause(ctx)
	}
	var r blocks.Reader
	now := files[tip]
	modules := r.Versions(p, now)
	for i, c := range commits {
		before := files[c.Parent]
		touches[i].Blocks = r.Changed(blocks.Change{Project: p, Files: c.Files, Before: before, After: now})
		// No commit between this one and the next of the list changed the
		// project, so that what was before is what that one came to.
		now = maps.Clone(now)
		for _, name := range slices.DeleteFunc(slices.Clone(c.Files), reads) {
			if data, existed := before[name]; existed {
				now[name] = data
			} else {
				delete(now, name)
			}
		}
	}
	return modules, context.Cause(ctx)
}

// names are the files of a project that blocks are found in, as they stand in
// tip. It reports false where that is not possible, or where one of them is a
// symbolic link: what that shows may change without it.
func (g Gatherer) names(ctx context.Context, at Place, tip string, p project.Project) ([]string, bool) {
	names, err := g.Checkouts.List(ctx, at.Repo, tip, filesOf(p)...)
	if err != nil {
		g.Log.Warn("cannot list the code", "repo", at.Repo, "project", p.ID(), "err", err)
		return nil, false
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !blocks.Reads(p, name) })
	root, err := os.OpenRoot(at.Root)
	if err != nil {
		g.Log.Warn("cannot read the code", "repo", at.Repo, "project", p.ID(), "err", err)
		return nil, false
	}
	defer root.Close() // nothing was written
	for _, name := range names {
		if info, err := root.Lstat(name); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return nil, false
		}
	}
	return names, true
}
