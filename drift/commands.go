package drift

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"weir/drift/accept"
	"weir/drift/adopt"
	"weir/drift/finding"
	"weir/drift/proposal"
	"weir/planner/project"
	"weir/planner/run"
	"weir/planner/scope"
	"weir/planner/terraform"
	"weir/planner/work"
	"weir/templates/markdown"
)

// People is what commands need of GitHub: who writes them, and what comes of
// them.
type People interface {
	// MayWrite says whether somebody has write access.
	MayWrite(ctx context.Context, repo, login string) (bool, error)
	// Issue returns an issue of weir's own; ok is false for every other.
	Issue(ctx context.Context, repo string, number int) (issue finding.Issue, ok bool, err error)
	// Say comments once for a job.
	Say(ctx context.Context, repo string, number int, job, text string) error
	// Propose opens a pull request, or brings the one that is open up to
	// date. refused is why not, for people.
	Propose(ctx context.Context, repo string, b finding.Branch) (made finding.Proposed, refused string, err error)
}

// way is one way back: it says what is to be proposed, or, in words for
// people, why nothing is.
type way func(*survey, context.Context, project.Project) (*finding.Branch, string, error)

var ways = map[string]way{"revert": (*survey).revert, "adopt": (*survey).adopt, "accept": (*survey).accept}

// command does what somebody asked for on an issue. Everything that comes of it
// is a pull request, with its own plan, lock and approval, or an answer.
func (d *Drift) command(ctx context.Context, j work.Job) error {
	issue, ours, err := d.People.Issue(ctx, j.Repo, j.Issue)
	if err != nil || !ours {
		return err // on issues of others weir says nothing
	}
	say := func(text string) error { return d.People.Say(ctx, j.Repo, j.Issue, j.ID, text) }
	if j.Command == nil || j.Command.Drift == nil {
		return say(j.Reason)
	}
	may, err := d.People.MayWrite(ctx, j.Repo, j.Actor)
	if err != nil {
		return err
	}
	if !may {
		// Once for each person, so that strangers cannot use up what GitHub
		// lets weir write.
		return d.People.Say(ctx, j.Repo, j.Issue, "denied-"+j.Actor, markdown.Text(j.Actor)+" has no write access to this repository, so what was asked for is not done.")
	}
	command := *j.Command
	if !command.Narrows() {
		command.Project = finding.ProjectOf(issue.Body)
	}
	if j.Command.Drift.Verb == "check" {
		if err := d.ask(ctx, j.Repo, command, "comment", "drift-"+j.ID); err != nil {
			return err
		}
		return say("The check is queued. What it finds is shown above, and told here if it is something else than before.")
	}
	j.Command = &command
	text, err := d.goBack(ctx, j)
	if err != nil {
		return err
	}
	return say(text)
}

// goBack goes one of the ways back, and says what came of it.
func (d *Drift) goBack(ctx context.Context, j work.Job) (string, error) {
	s := &survey{Drift: d, job: j, pull: j.Issue}
	failure, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = d.Checkouts.Remove(context.WithoutCancel(ctx), j.Repo, j.Issue) }() // swept otherwise
	if failure != "" {
		return failure, nil
	}
	if err := s.read(ctx); err != nil {
		return "", err
	}
	asked := slices.DeleteFunc(slices.Clone(s.set.Projects), func(p project.Project) bool {
		return !scope.Selects(j.Command, p.ID(), p.Dir, p.Workspace)
	})
	if len(asked) != 1 {
		return fmt.Sprintf("This command is for one project, and names %d.", len(asked)), nil
	}
	p := asked[0]
	verb := j.Command.Drift.Verb
	branch, why, err := ways[verb](s, ctx, p)
	if err != nil || branch == nil {
		return why, err
	}
	branch.Name = proposal.Branches + verb + "-" + scope.Slug(p.ID())
	branch.Base, branch.Commit = s.repo.Branch, s.head
	branch.Body += fmt.Sprintf("\n\nAsked for by @%s in #%d.", j.Actor, j.Issue)
	made, refused, err := d.People.Propose(ctx, j.Repo, *branch)
	if refused != "" || err != nil {
		return refused, err
	}
	if err := proposal.Put(ctx, d.Store, j.Repo, branch.Name, proposal.Proposal{Actor: j.Actor, Head: made.Head, Base: branch.Base}); err != nil {
		return "", err
	}
	return fmt.Sprintf("Opened #%d. %s\n\nIt needs the approval of somebody else than %s.", made.Number, strings.TrimSpace(why), j.Actor), nil
}

// revert proposes to put back what the code says.
func (s *survey) revert(_ context.Context, p project.Project) (*finding.Branch, string, error) {
	return &finding.Branch{
		Message: "Put back what the code says of " + p.ID(),
		Title:   "Drift: put back what the code says of " + p.ID(),
		Body: "What is deployed of `" + p.ID() + "` is not what the code says. This pull request changes no file: its plan, of that project alone, is " +
			"what it takes to put the declared state back. Approve it as every other, or close it.",
	}, "Its plan puts back what the code says. It changes no file; close it if you think otherwise.", nil
}

// accept proposes a rule that leaves what was found as it is, for a while.
func (s *survey) accept(ctx context.Context, p project.Project) (*finding.Branch, string, error) {
	before, err := s.Checkouts.Files(ctx, s.job.Repo, s.head, project.File)
	if err != nil {
		return nil, "", err
	}
	asked := s.job.Command.Drift
	branch, why := accept.Propose(before[project.File], p.ID(), p.Dir, s.asked(p), accept.Terms{Owner: asked.Owner, Reason: asked.Reason, Until: asked.Until})
	return branch, why, nil
}

// asked are the findings that the command is about.
func (s *survey) asked(p project.Project) []finding.Finding {
	addresses := s.job.Command.Drift.Addresses
	return slices.DeleteFunc(s.known[p.ID()].Check.Open(), func(f finding.Finding) bool {
		return len(addresses) > 0 && !slices.Contains(addresses, f.Address)
	})
}

// adopt proposes code that says what is deployed, or that imports what a person
// names the id of, see package adopt. What it proposes was planned before.
func (s *survey) adopt(ctx context.Context, p project.Project) (*finding.Branch, string, error) {
	for _, other := range s.set.Projects {
		if other.Dir == p.Dir && other.ID() != p.ID() {
			return nil, "The code of this project is that of " + other.ID() + " too, so it cannot be changed for one of them alone.", nil
		}
	}
	asked := s.job.Command.Drift
	made, failure, err := adopt.Adopt(ctx, adopt.Project{Root: s.co.Root, Dir: p.Dir, Plan: func(ctx context.Context) (*terraform.Plan, string, error) {
		return s.Looker.Look(ctx, s.job.Repo, run.Files{Root: s.co.Root, Tree: s.co.Tree}, p, s.Environ)
	}}, adopt.Asked{Findings: s.asked(p), Addresses: asked.Addresses, IDs: asked.IDs})
	switch {
	case err != nil:
		return nil, "", err
	case failure != "":
		return nil, "The project cannot be planned as it is, so nothing can be said of it:\n\n" + markdown.Fence("", failure), nil
	case made.Gone:
		if err := s.ask(ctx, s.job.Repo, work.Command{Project: p.ID()}, "comment", "drift-"+s.job.ID); err != nil {
			return nil, "", err
		}
		return nil, "Nothing of this differs any more, by a plan that was just made. A check is queued: it closes this issue, or tells what is left.", nil
	case len(made.Files) == 0:
		return nil, "Nothing of it can be written into the code:\n\n" + list(made.Not) + "\n\n" + otherwise, nil
	}
	does := "with it these have nothing to change any more, by a plan that was just made."
	if made.State {
		does = "with it nothing of these is changed, by a plan that was just made. What is imported or let go of is so once this is applied, " +
			"which writes Terraform's state and nothing else. Blocks that import may go from the code after that."
	}
	body := "The code of `" + p.ID() + "` says what is deployed: " + does + "\n\n" + list(made.Done)
	why := "The code says what is deployed of:\n\n" + list(made.Done)
	if len(made.Not) > 0 {
		body += "\n\nNot expressed here:\n\n" + list(made.Not)
		why += "\n\nNot expressed:\n\n" + list(made.Not) + "\n\n" + otherwise + "\n\n"
	}
	return &finding.Branch{
		Message: "Say what is deployed of " + p.ID(), Title: "Drift: adopt what is deployed of " + p.ID(), Body: body, Files: made.Files,
	}, why, nil
}

// otherwise is what is left to do about what no code can say.
const otherwise = "What is not in it can be edited by hand where a line is named, put back with `weir drift revert`, or left for a while with `weir drift accept ADDRESS`."

// maxList bounds a list in bytes: two of them fit into what GitHub takes of a
// comment or of a body.
const maxList = 24_000

func list(items []string) string {
	if len(items) == 0 {
		return "- nothing"
	}
	var b strings.Builder
	for i, item := range items {
		if b.Len()+len(item) > maxList {
			fmt.Fprintf(&b, "- and %d more\n", len(items)-i)
			break
		}
		b.WriteString("- " + item + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
