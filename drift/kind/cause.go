package kind

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"weir/drift/finding"
	"weir/planner/terraform/plan"
)

// cause is why a plan would do something.
type cause struct {
	kind finding.Kind
	text string
	pull int
}

// subject is what has a cause: an attribute, a whole resource or an output.
type subject struct {
	address    string   // of the resource; "" for an output
	config     string   // the address of its block
	provider   string   // name of the provider
	from       []string // references, as in plan.Attribute
	attribute  bool     // it is one attribute
	name       string   // of the attribute
	configured bool     // the configuration sets it, as far as the plan tells
	constant   bool
	create     bool // of something new
	removed    bool // the plan gives it no value any more
	open       bool // its value is known after the apply only
	untold     bool // it is replaced, and no attribute forces that
}

func whole(c *plan.Change) subject {
	return subject{
		address: c.Address, config: block(c.Address), provider: provider(c), from: c.From, create: c.Action == plan.Create,
		untold: c.Action == plan.Replace && !slices.ContainsFunc(c.Attributes, forces),
	}
}

func attribute(c *plan.Change, a plan.Attribute) subject {
	return subject{
		address: c.Address, config: block(c.Address), provider: provider(c), from: a.From, attribute: true, name: a.Name,
		configured: a.Constant || len(a.From) > 0, constant: a.Constant, removed: a.After == "", open: a.After == unknown,
	}
}

// provider is the last part of the source address of a resource's provider.
func provider(c *plan.Change) string {
	if c.Provider != "" {
		return path.Base(c.Provider)
	}
	name, _, _ := strings.Cut(c.Type, "_")
	return name
}

// cause looks for the reasons of the package's comment, in their order.
func (c *classifier) cause(s subject) cause {
	// Without an apply to compare with, commits of others say something only
	// about what the code alone decides.
	counts := func(t *Touch) bool {
		return t != nil && (c.Applied != nil || s.create || s.constant || t.Pull == c.Own && t.Pull != 0)
	}
	if own := c.own(s); own != nil {
		return c.merged(own)
	}
	follows, followed := c.follows(s)
	if followed && s.open && follows.kind != finding.Unknown {
		return follows
	}
	if t := c.touch(func(t Touch) bool { return t.Blocks != nil && t.changes(s) }); counts(t) {
		return c.merged(t)
	}
	if followed && follows.kind != finding.Unknown {
		return follows
	}
	if variable := c.movedVariable(s); variable != "" {
		if t := c.touch(func(t Touch) bool { return slices.ContainsFunc(t.Files, holdsVariables) }); t != nil {
			return c.merged(t)
		}
		return cause{kind: finding.Data, text: variable + " has another value than when " + c.applied()}
	}
	if s.untold {
		return c.untold(follows, followed)
	}
	_, moved := c.moved(s)
	newer := cause{kind: finding.Version, text: moved, pull: c.lockedBy()}
	if s.attribute && !s.configured && !s.removed && moved != "" {
		return newer
	}
	unmerged, isUnmerged := c.unmerged()
	if isUnmerged && (c.Applied.Blocks == nil || Touch{Blocks: c.Applied.Blocks}.changes(s)) {
		return unmerged
	}
	if t := c.touch(func(t Touch) bool { return t.Blocks == nil && !t.onlyVersions() }); counts(t) {
		return c.merged(t)
	}
	if c.Applied != nil && c.Applied.Failed {
		return c.failed()
	}
	if data := find(s.from, "data."); data != "" {
		return cause{kind: finding.Data, text: "it comes from " + data + ", which seems to have another value now"}
	}
	if moved != "" {
		return newer
	}
	if a := c.Applied; a != nil && differ(a.Versions.Terraform, c.Now.Terraform) {
		return cause{kind: finding.Version, text: fmt.Sprintf("Terraform moved from %s to %s", a.Versions.Terraform, c.Now.Terraform), pull: c.lockedBy()}
	}
	if variable := c.openVariable(s); variable != "" {
		return cause{kind: finding.Data, text: "it comes from " + variable + ", which may have another value than at the last apply"}
	}
	code := c.touch(func(t Touch) bool { return !t.onlyVersions() })
	if local := find(s.from, "local."); local != "" && c.Applied != nil && code == nil && !isUnmerged {
		return cause{kind: finding.Data, text: "it comes from " + local + "; neither the code nor a version changed since " + c.applied() + ", so that something it is made of did"}
	}
	switch {
	case isUnmerged:
		return unmerged
	case counts(code):
		return c.merged(code)
	case followed:
		return follows
	case c.Applied == nil:
		return cause{kind: finding.Unknown, text: "weir has never applied this project, and so has nothing to compare with"}
	}
	return cause{kind: finding.Unknown, text: "neither the code, nor a version, nor a value it comes from is known to have changed since " + c.applied()}
}

// own is the change of the pull request whose plan this is, where it changes the
// subject, or may: that comes first, so that no pull request's own change is
// ever told as somebody else's.
func (c *classifier) own(s subject) *Touch {
	t := c.touch(func(t Touch) bool { return t.Pull == c.Own && t.Pull != 0 })
	switch {
	case t == nil, t.Blocks == nil && t.onlyVersions():
		return nil
	case t.Blocks == nil, t.changes(s), len(t.Blocks) > 0 && slices.Contains(s.from, plan.More):
		return t
	}
	return nil
}

// untold is why something is replaced without an attribute that asks for it:
// it is tainted, or a trigger of its configuration says so. What is not
// certain is no reason for that.
func (c *classifier) untold(follows cause, followed bool) cause {
	switch {
	case c.Applied != nil && c.Applied.Failed:
		return c.failed()
	case followed:
		return follows
	}
	return cause{kind: finding.Unknown, text: "no attribute asks for it"}
}

// merged is what a commit changed that nobody applied.
func (c *classifier) merged(t *Touch) cause {
	text := by(t.Pull, t.Commit) + " changed the code, and "
	if c.Applied == nil {
		text += "weir has never applied this project"
	} else {
		text += "it was not applied since"
	}
	return cause{kind: finding.Merged, text: text, pull: t.Pull}
}

// failed is what an apply left undone.
func (c *classifier) failed() cause {
	if unmerged, ok := c.unmerged(); ok {
		return unmerged
	}
	return cause{kind: finding.Merged, text: "the apply of " + by(c.Applied.Pull, c.Applied.Commit) + " ended with an error, and nobody applied the rest", pull: c.Applied.Pull}
}

// unmerged says whether what is deployed is not in the default branch.
func (c *classifier) unmerged() (cause, bool) {
	a := c.Applied
	if a == nil {
		return cause{}, false
	}
	text := ""
	switch {
	case a.State == Open:
		text = by(a.Pull, a.Commit) + " was applied and is not merged yet"
	case a.State == Closed:
		text = by(a.Pull, a.Commit) + " was applied and then closed without being merged"
	case a.Gone:
		text = "the default branch does not contain " + short(a.Commit) + " any more, which was applied"
	default:
		return cause{}, false
	}
	return cause{kind: finding.Unmerged, text: text, pull: a.Pull}, true
}

// moved says which provider or module of the subject has another version than
// at the last apply, "" for none.
func (c *classifier) moved(s subject) (name, text string) {
	if c.Applied == nil {
		return "", ""
	}
	then := c.Applied.Versions
	if before, now := version(then.Providers, s.provider), version(c.Now.Providers, s.provider); differ(before, now) {
		return "provider " + s.provider, fmt.Sprintf("provider %s moved from %s to %s", s.provider, before, now)
	}
	calls := calls(s.config)
	for i := range calls {
		module := strings.Join(calls[:i+1], ".")
		if before, now := then.Modules[module], c.Now.Modules[module]; differ(before, now) {
			return "module " + module, fmt.Sprintf("module %s moved from %s to %s", module, before, now)
		}
	}
	return "", ""
}

// version is that of a provider by its name.
func version(providers map[string]string, name string) string {
	for _, source := range slices.Sorted(maps.Keys(providers)) {
		if path.Base(source) == name {
			return providers[source]
		}
	}
	return ""
}

// differ says whether two versions are known and not the same.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// lockedBy is the newest pull request that changed versions, or, where it is
// the one whose plan this is, may have: constraints of versions are no blocks.
func (c *classifier) lockedBy() int {
	t := c.touch(func(t Touch) bool {
		return slices.ContainsFunc(t.Files, holdsVersions) || c.Own != 0 && t.Pull == c.Own && len(t.Files) > 0 && len(t.Blocks) == 0
	})
	if t != nil {
		return t.Pull
	}
	return 0
}

// movedVariable is a variable behind the subject that is known to have another
// value than at the last apply.
func (c *classifier) movedVariable(s subject) string {
	for _, reference := range s.from {
		name, ok := strings.CutPrefix(reference, "var.")
		if !ok || c.Applied == nil {
			continue
		}
		if then, now := c.Applied.Inputs[name], c.Summary.Inputs[name]; then != "" && now != "" && then != now {
			return reference
		}
	}
	return ""
}

// openVariable is one of which that is not known.
func (c *classifier) openVariable(s subject) string {
	for _, reference := range s.from {
		name, ok := strings.CutPrefix(reference, "var.")
		if ok && (c.Applied == nil || c.Applied.Inputs[name] == "" || c.Summary.Inputs[name] == "") {
			return reference
		}
	}
	return ""
}

// follows is the cause of another resource's finding, where the subject's
// value comes from that. One that is explained comes before one that is not.
func (c *classifier) follows(s subject) (cause, bool) {
	var best cause
	for _, reference := range s.from {
		config, name := upstream(reference)
		if config == "" {
			continue
		}
		for _, address := range c.blocks[config] {
			if address == s.address || !c.gives(address, name) {
				continue
			}
			found := c.resource(address)
			if len(found) == 0 {
				continue
			}
			f := found[0]
			if i := slices.IndexFunc(found, func(f finding.Finding) bool { return f.Attribute == name }); i >= 0 {
				f = found[i]
			}
			follow := cause{kind: f.Kind, text: fmt.Sprintf("it follows %s (%s)", address, f.Kind), pull: f.Pull}
			if f.Kind == finding.Deleted {
				// This resource itself is there.
				follow.kind = finding.Changed
			}
			if follow.kind != finding.Unknown {
				return follow, true
			}
			if best.kind == "" {
				best = follow
			}
		}
	}
	return best, best.kind != ""
}

// gives says whether an attribute of a resource differs from what it was. ""
// is any of them.
func (c *classifier) gives(address, name string) bool {
	has := func(change *plan.Change) bool {
		switch {
		case change == nil || change.Action == plan.NoOp || change.Action == plan.Read:
			return false
		case name == "" || change.Action != plan.Update && change.Action != plan.Replace:
			return true
		}
		return slices.ContainsFunc(change.Attributes, func(a plan.Attribute) bool { return a.Name == name })
	}
	return has(c.changes[address]) || has(c.drift[address])
}

func (c *classifier) touch(is func(Touch) bool) *Touch {
	if i := slices.IndexFunc(c.Since, is); i >= 0 {
		return &c.Since[i]
	}
	return nil
}

// changes says whether a commit changed a block that decides the subject.
func (t Touch) changes(s subject) bool {
	for _, b := range t.Blocks {
		b, argument, part := strings.Cut(b, "#")
		if part && s.attribute && s.configured && s.name != argument {
			continue
		}
		if begins(s.config, b) {
			return true
		}
		for _, reference := range s.from {
			// Another resource's block need not change what comes from it:
			// see follows.
			if config, _ := upstream(reference); config == "" && begins(reference, b) {
				return true
			}
		}
	}
	return false
}

// onlyVersions says whether a commit changed files that hold nothing but
// versions.
func (t Touch) onlyVersions() bool {
	return len(t.Files) > 0 && !slices.ContainsFunc(t.Files, func(file string) bool { return !holdsVersions(file) })
}

func holdsVersions(file string) bool {
	switch path.Base(file) {
	case ".terraform.lock.hcl", ".terraform-version", ".opentofu-version", ".tool-versions":
		return true
	}
	return false
}

func holdsVariables(file string) bool {
	return strings.HasSuffix(file, ".tfvars") || strings.HasSuffix(file, ".tfvars.json")
}

// since is the end of a sentence about what happened after the last apply.
func (c *classifier) since() string {
	if c.Applied == nil {
		return ""
	}
	return " since " + c.applied()
}

func (c *classifier) applied() string {
	text := by(c.Applied.Pull, c.Applied.Commit) + " was applied"
	if !c.Applied.When.IsZero() {
		text += " on " + c.Applied.When.UTC().Format("2006-01-02")
	}
	return text
}

// by names a change of the code.
func by(pull int, commit string) string {
	switch {
	case pull == 0:
		return "commit " + short(commit)
	case commit == "":
		return fmt.Sprintf("#%d", pull)
	}
	return fmt.Sprintf("#%d (%s)", pull, short(commit))
}

func short(commit string) string { return commit[:min(len(commit), 7)] }
