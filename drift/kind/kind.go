// Package kind says why what is deployed and what is in Git differ, resource
// by resource and attribute by attribute. It decides from data alone: a plan's
// JSON form, Git, and what was applied before; never from text for people.
//
// What Terraform itself calls drift, and shows, is Changed or Deleted. All
// else that a plan would do has one of these causes, looked for in this order,
// what is certain first:
//
//  1. A commit since the last apply changed the resource's own block, its
//     module call, or a local or variable that the value comes from: Merged.
//  2. The value comes from another resource that has a finding: it follows
//     that one, and has its kind. (Where the value is not known yet, this
//     comes before 1.)
//  3. A variable that the value comes from has another value than at the last
//     apply: Data, or Merged where a commit changed a file of variables.
//  4. The configuration does not set the attribute, and the plan gives it a
//     value: a default of the provider or module, where that moved: Version.
//  5. Who applied last was never merged: Unmerged.
//  6. A commit of which it is not known what it changed: Merged. One that
//     changes only versions (a lock file) does not count.
//  7. The last apply failed half way: Merged.
//  8. The value comes from a data source: Data.
//  9. The provider, the module or Terraform moved: Version.
//  10. The value comes from a variable, of which it is not known whether it
//     moved, or from a local: Data.
//  11. What is left of 5 and 6: commits that changed other blocks.
//
// An attribute that was changed outside and is asked to be something else by
// the code than what was last applied has two findings, each with its own
// kind: reverting one leaves the other.
//
// In the plan of a pull request (Evidence.Own) what it changed itself is Merged,
// with its own number.
//
// These are no findings: attributes that only become known in the apply of
// something else, copies that providers keep of attributes that are listed
// themselves (tags_all), drift of what a plan would destroy, and data sources
// that are read during an apply.
package kind

import (
	"cmp"
	"slices"
	"time"

	"weir/drift/finding"
	"weir/planner/terraform/plan"
)

// Max is how many findings Classify returns at most.
const Max = 1000

// Evidence is all that a classification needs.
type Evidence struct {
	Summary plan.Summary // of a plan of the checked commit
	Now     Versions     // that made it
	Applied *Apply       // the project's last apply; nil: weir never applied it
	Own     int          // the pull request whose plan this is; 0: that of a branch

	// Since are the commits that touched the project's own files, its local
	// modules or its files of variables, in the history of the checked commit
	// and not in that of Applied.Commit; the newest first. Without Applied:
	// all that ever did, as far as is known.
	Since []Touch
}

// Apply is the last apply of a project.
type Apply struct {
	Commit string // of the default branch that was part of what was applied
	Pull   int    // the pull request
	State  State
	When   time.Time
	Failed bool // it ended with an error, so that a part of it may never have happened
	More   bool // the pull request got more commits before it was merged
	Gone   bool // Commit is not in the history of the checked commit

	// MergedAs is the commit that brought the pull request to the default
	// branch. What was applied and then merged as it was is no change since,
	// so that commit, and those of the same pull request, do not count among
	// Since, which may begin before them. "" where it is not known.
	MergedAs string

	Versions Versions
	Inputs   map[string]string // plan.Summary.Inputs of what was applied; nil: not known
	Blocks   []string          // what the pull request changed, as in Touch; nil: not known
}

// State is what became of a pull request.
type State string

// States of pull requests. "" is one that is not known, or does not matter:
// that of the pull request itself whose own plan is classified.
const (
	Open   State = "open"
	Closed State = "closed" // without being merged
	Landed State = "merged"
)

// Versions are those of all that takes part in a plan.
type Versions struct {
	Terraform string
	Providers map[string]string // by source address, as in the lock file; only the last part of it counts
	Modules   map[string]string // of modules with versions, by path of calls: "vpc", "vpc.subnets"
}

// Touch is a commit that changed something of a project.
type Touch struct {
	Commit string
	Pull   int      // that brought it; 0: none, or not known
	Files  []string // that it changed, of the project; slash-separated

	// Blocks are the addresses of the blocks that it changed, without keys:
	// "aws_vpc.a", or "aws_vpc.a#tags" for that argument of it alone, "module.net" for a call and all within it,
	// "module.net.aws_vpc.a", "local.a", "var.a" (its default, or its value
	// in a file), "data.aws_ami.a", "output.a". Nil: not known, it may have
	// changed anything. Empty: none of them.
	Blocks []string
}

// Classify names the kind of each difference. The findings are without
// severity, which is package rule's; what is destroyed comes first, then they
// are by address, attribute and kind, each key once. It reports whether there
// are more than are listed.
func Classify(e Evidence) ([]finding.Finding, bool) {
	c := newClassifier(e)
	var all []finding.Finding
	for _, address := range c.order {
		all = append(all, c.resource(address)...)
	}
	for _, o := range e.Summary.Outputs {
		why := c.cause(subject{config: "output." + o.Name, from: o.From, create: o.Action == plan.Create, open: o.After == unknown})
		all = append(all, finding.Finding{
			Address: "output." + o.Name, Kind: why.kind, Why: why.text, Pull: why.pull,
			Action: string(o.Action), Declared: o.After, Deployed: o.Before,
		})
	}
	slices.SortStableFunc(all, func(a, b finding.Finding) int {
		return cmp.Or(
			cmp.Compare(destroys(a), destroys(b)),
			cmp.Compare(a.Address, b.Address), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Kind, b.Kind),
		)
	})
	all = slices.CompactFunc(all, func(a, b finding.Finding) bool { return a.Key() == b.Key() })
	cut := e.Summary.Cut || len(all) > Max
	return all[:min(len(all), Max):min(len(all), Max)], cut
}

func destroys(f finding.Finding) int {
	if f.Kind == finding.Deleted || f.Action == string(plan.Delete) || f.Action == string(plan.Replace) {
		return 0
	}
	return 1
}
