// Package config reads weir.yaml, a repository's own configuration. It is
// strict, and tells every mistake with its line.
package config

import (
	"fmt"
	"strings"
)

// File is the name of a repository's configuration, at its root.
const File = "weir.yaml"

// Config is a repository's weir.yaml. The comments on its fields are the
// descriptions of the JSON Schema in docs/weir.schema.json, and the rules in
// its tags are what both the schema and Parse enforce.
type Config struct {
	// Version of this format. Always 1.
	Version int `yaml:"version" jsonschema:"required,enum=1"`
	// Apply says when plans are applied. approval: as soon as the pull request may be applied. comment: when
	// somebody writes `weir apply`. merge: after the merge.
	Apply string `yaml:"apply" jsonschema:"enum=approval,enum=comment,enum=merge,default=approval"`
	// Automerge says how a pull request is merged once every project of it is applied. off: by people.
	Automerge string `yaml:"automerge" jsonschema:"enum=off,enum=merge,enum=squash,enum=rebase,default=off"`
	// Checkout says what a checkout holds besides the files of the repository.
	Checkout Checkout `yaml:"checkout"`
	// Projects lists the projects. Without it they are discovered: every root module is one.
	Projects []Project `yaml:"projects" jsonschema:"minItems=1"`
	// Approvals lists who must approve, depending on what the plans do. Every rule that fits must be met.
	Approvals []ApprovalRule `yaml:"approvals" jsonschema:"minItems=1"`
	// Drift lists when which projects are compared with what is deployed, and what of the differences is told. The
	// first rule that fits a project counts.
	Drift []DriftRule `yaml:"drift" jsonschema:"minItems=1"`

	file  string
	where map[string]position // by path, such as "projects[0].dir"
}

// Checkout says what a checkout holds besides the files of the
// repository.
type Checkout struct {
	// Submodules fetches Git submodules.
	Submodules bool `yaml:"submodules" jsonschema:"default=false"`
	// LFS fetches the files that Git LFS stores.
	LFS bool `yaml:"lfs" jsonschema:"default=false"`
}

// Project is one entry of projects.
type Project struct {
	// Name is what people call the project: in `weir plan -p NAME`, in comments, in depends_on.
	Name string `yaml:"name" jsonschema:"pattern=^[A-Za-z0-9][A-Za-z0-9._/-]*$,maxLength=100" says:"begins with a letter or digit and has only letters, digits, dots, underscores, slashes and hyphens"`
	// Dir is the directory, relative to the root of the repository.
	Dir string `yaml:"dir" jsonschema:"required,minLength=1"`
	// Workspace is the Terraform workspace.
	Workspace string `yaml:"workspace" jsonschema:"pattern=^[A-Za-z0-9_][A-Za-z0-9_.~+=:-]*$,maxLength=90,default=default" says:"begins with a letter, digit or underscore and has only letters, digits and _ . ~ + = : -"`
	// TerraformVersion is the full version of Terraform or OpenTofu to run, such as 1.11.4.
	TerraformVersion string `yaml:"terraform_version" jsonschema:"pattern=^[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.]+)?$,maxLength=40" says:"is a full version, such as 1.11.4"`
	// Autoplan says which changes plan the project by themselves. false: none, it is planned only on demand.
	Autoplan Autoplan `yaml:"autoplan"`
	// DependsOn lists the projects to be planned and applied before this one, by name, by directory, or as
	// DIR@WORKSPACE.
	DependsOn []string `yaml:"depends_on" jsonschema:"minLength=1"`
	// VarFiles lists files of variables, relative to dir, in the order Terraform gets them.
	VarFiles []string `yaml:"var_files" jsonschema:"minLength=1"`
}

// Autoplan says which changes plan a project. In weir.yaml it may also be
// written as true or false.
type Autoplan struct {
	// Enabled can be set to false, so that the project is planned only on demand.
	Enabled *bool `yaml:"enabled" jsonschema:"default=true"`
	// WhenModified lists patterns of files, relative to dir. They take the place of the default: the files of dir, of
	// the local modules it calls, and its var files. ** stands for any number of directories, a leading ! takes away,
	// the last pattern that fits counts.
	WhenModified []string `yaml:"when_modified" jsonschema:"minItems=1,minLength=1"`
}

// On reports whether changes plan the project by themselves.
func (a Autoplan) On() bool { return a.Enabled == nil || *a.Enabled }

// ApprovalRule asks for approvals where its conditions are met. The gate takes
// the rules of the base branch.
type ApprovalRule struct {
	// When are the conditions: one project of the pull request must meet all that are given. Without them the rule
	// always counts.
	When When `yaml:"when"`
	// Require is what it takes.
	Require Require `yaml:"require" jsonschema:"required,minProperties=1"`
}

// When are the conditions of an ApprovalRule.
type When struct {
	// Dirs lists patterns of directories of projects, from the root of the repository.
	Dirs []string `yaml:"dirs" jsonschema:"minItems=1,minLength=1"`
	// Actions lists what a plan does to a resource.
	Actions []string `yaml:"actions" jsonschema:"minItems=1,enum=create,enum=update,enum=replace,enum=delete,enum=forget,enum=import,enum=move"`
	// Types lists patterns of resource types, such as aws_iam_*.
	Types []string `yaml:"types" jsonschema:"minItems=1,pattern=^[A-Za-z0-9_*?-]+$" says:"has only letters, digits, _ and -, with * and ? as wildcards"`
}

// Require is what an ApprovalRule asks for.
type Require struct {
	// Count is how many people must approve.
	Count int `yaml:"count" jsonschema:"minimum=1,maximum=20,default=1"`
	// Teams lists teams, as ORG/TEAM. Where teams or users are given, only their approvals count for this rule.
	Teams []string `yaml:"teams" jsonschema:"minItems=1,pattern=^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+$" says:"is a team as ORG/TEAM, without @"`
	// Users lists people by their GitHub login. Where teams or users are given, only their approvals count for this rule.
	Users []string `yaml:"users" jsonschema:"minItems=1,pattern=^[A-Za-z0-9][A-Za-z0-9_-]*$" says:"is a GitHub login, without @"`
}

// Error is one mistake in weir.yaml.
type Error struct {
	File    string
	Line    int    // 1-based
	Column  int    // 1-based
	Message string // a sentence without a full stop
	Hint    string // how to mend it; may be ""
}

// Error returns "FILE:LINE:COLUMN: MESSAGE", and the hint in parentheses.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors are all mistakes that were found in one weir.yaml, in the order
// of their lines. There is at least one. errors.As finds the first *Error.
type Errors []*Error

// Error returns one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}

// position is a place in a file, 1-based.
type position struct{ line, column int }

// ID names the project as its name, or else its directory, or else
// DIR@WORKSPACE where the workspace is not the default one.
func (p Project) ID() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Workspace != "default":
		return p.Dir + "@" + p.Workspace
	}
	return p.Dir
}

// Line returns the line of a path such as "projects[0].dir", or of the nearest
// thing around it; 1 for what was not read from a file.
func (c *Config) Line(path string) int { return c.at(path).line }

// at returns the place of a path, or of the nearest thing around it.
func (c *Config) at(path string) position {
	for path != "" {
		if pos, ok := c.where[path]; ok {
			return pos
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return position{1, 1}
}
