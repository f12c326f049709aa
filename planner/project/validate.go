package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Report is what there is to say about a repository's configuration.
type Report struct {
	Errors   ConfigErrors // mistakes in weir.yaml; then there is nothing else
	Problems []Problem
	Projects []Project
	Unlisted []string
}

// Validate checks the configuration of a checkout on disk and lists its
// projects. An error means that it could not be read.
func Validate(root string) (Report, error) {
	cfg, err := Load(root)
	var mistakes ConfigErrors
	if errors.As(err, &mistakes) {
		return Report{Errors: mistakes}, nil
	}
	if err != nil {
		return Report{}, err
	}
	set, err := Discover(root, cfg)
	if err != nil {
		return Report{}, err
	}
	return Report{Problems: set.Problems, Projects: set.Projects, Unlisted: set.Unlisted}, nil
}

// Load reads the weir.yaml of a checkout on disk. No file is the default
// configuration. A link out of the checkout is not followed.
func Load(root string) (*Config, error) {
	disk, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", File, err)
	}
	defer disk.Close() // nothing was written
	data, err := disk.ReadFile(File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", File, err)
	}
	return Parse(File, data)
}

// OK reports whether nothing needs to be mended.
func (r Report) OK() bool { return len(r.Errors) == 0 && len(r.Problems) == 0 }

// String is the report for a terminal.
func (r Report) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder takes everything
	for _, e := range r.Errors {
		line("%v", e)
	}
	for _, p := range r.Problems {
		line("%v", p)
	}
	if len(r.Errors) > 0 {
		line("%s is not valid: %s", File, count(len(r.Errors), "mistake"))
		return b.String()
	}
	if !r.OK() {
		line("")
	}
	line("%s", count(len(r.Projects), "project"))
	for _, p := range r.Projects {
		text := "  " + p.ID()
		if p.Name != "" {
			text += "  " + p.Dir
		}
		if p.Workspace != "default" && p.Name != "" {
			text += "@" + p.Workspace
		}
		var more []string
		if p.Backend != "" {
			more = append(more, "backend "+p.Backend)
		}
		if len(p.Modules) > 0 {
			more = append(more, "calls "+strings.Join(p.Modules, ", "))
		}
		if len(p.DependsOn) > 0 {
			more = append(more, "after "+strings.Join(p.DependsOn, ", "))
		}
		if !p.Autoplan {
			more = append(more, "planned on demand only")
		}
		if p.Refused != "" {
			more = append(more, "refused: "+p.Refused)
		}
		if more != nil {
			text += "  (" + strings.Join(more, "; ") + ")"
		}
		line("%s", text)
	}
	for i, dir := range r.Unlisted {
		if i == 0 {
			line("%s like a root module and not in %s", count(len(r.Unlisted), "directory"), File)
		}
		line("  %s", dir)
	}
	return b.String()
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
