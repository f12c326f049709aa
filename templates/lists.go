package templates

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/terraform"
	"weir/templates/elsewhere"
	"weir/templates/markdown"
)

// Destroys lists everything that plans destroy, replace or forget, each with
// its reason.
func (v view) Destroys() []string {
	var lines []string
	for _, p := range v.Projects {
		if p.Summary == nil || p.State != record.Planned {
			continue
		}
		for _, c := range p.Summary.Changes {
			if line := destroyLine(c, p.ID); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return markdown.Bounded(lines, roomDestroys, "- and %d more, in the plans below")
}

func destroyLine(c terraform.Change, id string) string {
	var verb string
	switch c.Action {
	case terraform.Delete:
		verb = "**destroy**"
	case terraform.Replace:
		verb = "**replace**"
	case terraform.Forget:
		verb = "forget, so that Terraform no longer knows it:"
	default:
		return ""
	}
	line := "- " + markdown.Code(id) + ": " + verb + " " + markdown.Code(c.Address)
	why := markdown.Text(c.Reason)
	if forces := forcing(c); c.Action == terraform.Replace && len(forces) > 0 {
		if why != "" {
			why += ": "
		}
		why += markdown.Names(forces)
	}
	if why != "" {
		line += ", " + why
	}
	return line
}

// forcing names the attributes that cannot be changed in place.
func forcing(c terraform.Change) []string {
	var attributes []string
	for _, a := range c.Attributes {
		if a.ForcesReplace {
			attributes = append(attributes, a.Name)
		}
	}
	return attributes
}

// Elsewhere lists what plans do that the pull request does not ask for.
func (v view) Elsewhere() []elsewhere.Group { return elsewhere.Lines(v.Projects, roomDrift) }

// Narrowed lists the plans that were made with arguments of a person's, which
// show and do something else than the pull request says.
func (v view) Narrowed() []string {
	var lines []string
	for _, p := range v.Projects {
		if line := narrowedLine(p); line != "" {
			lines = append(lines, line)
		}
	}
	return markdown.Bounded(lines, roomNotes, "- and %d more, on "+v.Page("the page"))
}

func narrowedLine(p result.Project) string {
	if len(p.Extra) == 0 {
		return ""
	}
	args := make([]string, len(p.Extra))
	for i, arg := range p.Extra {
		args[i] = markdown.Code(arg)
	}
	line := "- " + markdown.Code(p.ID) + ": " + strings.Join(args, " ")
	if p.AskedBy != "" {
		line += ", as " + markdown.Text(p.AskedBy) + " asked"
	}
	return line
}

// AllNotes lists the sentences that the reader should know, of the pull
// request and of its projects, without what the comment says elsewhere.
func (v view) AllNotes() []string {
	var lines []string
	for _, note := range v.Notes {
		if !v.shown(note) {
			lines = append(lines, "- "+markdown.Text(note))
		}
	}
	for _, p := range v.Projects {
		for _, note := range p.Notes {
			lines = append(lines, "- "+markdown.Code(p.ID)+": "+markdown.Text(note))
		}
		// What waits for a lock is what a comment of that kind says anyway.
		waits := v.Kind == result.Locked && p.State == record.Pending
		if p.Failure != "" && !waits && !(projectView{p, v.Kind}).Failed() {
			lines = append(lines, "- "+markdown.Code(p.ID)+": "+markdown.Text(p.Failure))
		}
		if p.Summary != nil && p.Summary.Opaque != "" && p.State == record.Planned {
			lines = append(lines, "- "+markdown.Code(p.ID)+": the plan cannot tell everything ("+markdown.Text(p.Summary.Opaque)+
				"), so an approval is also bound to the code")
		}
	}
	return markdown.Bounded(lines, roomNotes, "- and %d more notes, on "+v.Page("the page"))
}

// place is how a note begins that tells of a mistake in a file.
var place = regexp.MustCompile(`^([^:]+):[0-9]+: `)

// shown reports whether a note tells of a mistake in a file for which a plan
// failed: terraform's own words for it are shown in full.
func (v view) shown(note string) bool {
	m := place.FindStringSubmatch(note)
	if m == nil {
		return false
	}
	return slices.ContainsFunc(v.Projects, func(p result.Project) bool {
		if !(projectView{p, v.Kind}).Failed() {
			return false
		}
		// Terraform names files as seen from the project.
		file, err := filepath.Rel(p.Dir, m[1])
		return err == nil && strings.Contains(p.Failure, "on "+filepath.ToSlash(file)+" line ")
	})
}

// WaitingLines lists the locks that are waited for.
func (v view) WaitingLines() []string {
	var lines []string
	for _, w := range v.Waiting {
		switch {
		case w.Owner == 0:
			lines = append(lines, "- "+markdown.Code(w.ID)+" is free, and kept for whoever is first in the queue")
		case w.Place == 1:
			lines = append(lines, fmt.Sprintf("- %s: %s owns it; this pull request is next", markdown.Code(w.ID), w.By()))
		case w.Place > 1:
			lines = append(lines, fmt.Sprintf("- %s: %s owns it; this pull request is number %d in the queue", markdown.Code(w.ID), w.By(), w.Place))
		default:
			lines = append(lines, fmt.Sprintf("- %s: %s owns it", markdown.Code(w.ID), w.By()))
		}
	}
	return markdown.Bounded(lines, roomWaiting, "- and %d more")
}

// Owners are the pull requests that are waited for, as "#12 and #14".
func (v view) Owners() string {
	var names []string
	for _, w := range v.Waiting {
		if by := w.By(); by != "" && !slices.Contains(names, by) {
			names = append(names, by)
		}
	}
	return pulls(names)
}

// NextPulls are the pull requests that were handed locks.
func (v view) NextPulls() string {
	names := make([]string, len(v.Next))
	for i, n := range v.Next {
		names[i] = fmt.Sprintf("#%d", n)
	}
	return pulls(names)
}

// pulls joins names of pull requests. They are weir's own, and meant to link.
func pulls(words []string) string {
	if len(words) > 20 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:20], ", "), len(words)-20)
	}
	if len(words) > 1 {
		return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
	}
	return strings.Join(words, "")
}

// FailureBlock is the failure of the whole result, as a sentence or as a block.
func (v view) FailureBlock() string {
	if v.Failure == "" {
		return ""
	}
	if !strings.Contains(strings.TrimSpace(v.Failure), "\n") && len(v.Failure) <= markdown.MaxText {
		return markdown.Text(v.Failure)
	}
	return markdown.Fence("text", markdown.Cut(v.Failure, roomFailure))
}

// Paragraphs is the free text of the result.
func (v view) Paragraphs() string { return markdown.Paragraphs(markdown.Cut(v.Text, roomText)) }
