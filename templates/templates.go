// Package templates puts results into words: comments and checks in Markdown
// for GitHub, and pages in HTML. It decides nothing and asks nobody.
//
// Whatever it is given (addresses, file names, error texts, logins) may have
// been chosen by an attacker. None of it becomes markup, mentions anybody,
// refers to an issue or leaves the place that the templates gave it.
package templates

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"weir/planner/result"
	"weir/templates/markdown"
)

//go:embed comments/*.md.tmpl
var commentFiles embed.FS

var comments = template.Must(template.New("").Funcs(template.FuncMap{
	"code":       markdown.Code,
	"text":       markdown.Text,
	"paragraphs": markdown.Paragraphs,
	"short":      short,
	"names":      markdown.Names,
	"count":      count,
}).ParseFS(commentFiles, "comments/*.md.tmpl"))

// render executes one template of the comments. The templates and what they
// are given are ours alone, so an error is a bug that every test would meet.
func render(name string, data any) string {
	var b strings.Builder
	if err := comments.ExecuteTemplate(&b, name+".md.tmpl", data); err != nil {
		panic(fmt.Sprintf("template %s: %v", name, err))
	}
	return tidy(b.String())
}

// tidy leaves one empty line where the branches of a template that said
// nothing left several. It stops at a fence: what is inside is not ours to change.
func tidy(s string) string {
	var b strings.Builder
	var closing string
	empty := true // nothing written yet, or the last line was empty
	for line := range strings.Lines(s) {
		bare := strings.TrimRight(line, "\n")
		switch {
		case closing != "":
			if bare == closing {
				closing = ""
			}
		case strings.HasPrefix(bare, "```"):
			closing = bare[:len(bare)-len(strings.TrimLeft(bare, "`"))]
		case strings.TrimSpace(bare) == "":
			if empty {
				continue
			}
			line = "\n"
		}
		empty = closing == "" && strings.TrimSpace(bare) == ""
		b.WriteString(line)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// short is the beginning of a commit id, as people know it.
func short(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}

// count says "1 project" or "3 projects".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// kinds are the words of the hidden marker (see the manual's part on
// comments) for each kind of result, and the template that tells it.
var kinds = map[result.Kind]struct{ marker, template string }{
	result.Plan:        {"plan", "plan"},
	result.Locked:      {"locked", "locked"},
	result.Apply:       {"apply", "apply"},
	result.Refused:     {"apply", "refused"},
	result.Interrupted: {"apply", "interrupted"},
	result.Unlocked:    {"unlocked", "unlocked"},
	result.Closed:      {"unlocked", "closed"},
	result.Explain:     {"explain", "explain"},
	result.Help:        {"help", "help"},
	result.NotServed:   {"error", "not_served"},
	result.Internal:    {"error", "internal"},
}
