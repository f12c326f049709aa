// Package project finds the Terraform projects of a repository and says which
// of them a change touches. It reads files and nothing else.
package project

// Project is a directory and a Terraform workspace. Two projects are the same
// if Dir and Workspace are equal.
type Project struct {
	Name             string   // from weir.yaml; "" where it has none
	Dir              string   // slash-separated, relative to the repository's root; "." for the root itself
	Workspace        string   // "default" where nothing else is said
	TerraformVersion string   // wanted version; "": any
	VarFiles         []string // relative to Dir, in order; never outside the checkout
	DependsOn        []string // IDs of the projects to be planned and applied before this one
	Backend          string   // type of the backend block, "cloud" for a cloud block, "" for none
	Modules          []string // directories of local modules it calls at any depth, sorted, without Dir
	Deleted          bool     // the base has it, the checkout has not
}

// ID names the project for people and in DependsOn: its Name, or else Dir, or
// else Dir and Workspace as in "envs/prod@blue" (workspace other than default).
func (p Project) ID() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Workspace != "default":
		return p.Dir + "@" + p.Workspace
	}
	return p.Dir
}
