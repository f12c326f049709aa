// Package edit changes the code of a project so that it says what is
// deployed.
//
// What hclwrite renders is put into the text of a file at the places that the
// parser tells. Files are not written back from hclwrite's own tree, since
// that turns tabs into spaces and drops a byte order mark: here everything
// that no edit is about stays byte for byte.
//
// Only literals are replaced. What comes from a variable, a local or anything
// else that is worked out stays as it is, and the result says why.
package edit

import (
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/code"
	"weir/planner/project/edit/literal"
)

// Wanted is what the code shall say. Addresses are Terraform's. Each edit is
// done in full or not at all, whatever becomes of the others, in the order of
// Set, Remove, Import and Forget.
type Wanted struct {
	Set    []Set
	Remove []Remove
	Import []Import
	// Forget are addresses of resources that exist and that the code does not
	// have any more, so that Terraform would destroy them. A removed block
	// (Terraform 1.7 or later) at the end of the root module has it let go of
	// them. It can only name all instances of a resource, and those in all
	// instances of its modules.
	Forget []string
}

// Set is an attribute that is deployed with another value than declared.
//
// Of a resource with count or for_each every instance has to be there, with
// the same value, and how many there are has to be written literally: one text
// makes them all.
type Set struct {
	Address   string // of a managed resource
	Attribute string // at the top level of the resource: the name of an attribute or of a type of nested blocks
	// Declared is what the plan would make it, as JSON: it says what
	// expressions come to, which nested blocks are which, and what comes from
	// the provider's defaults. Empty is known after apply only; keys of
	// objects that are missing in it are, too.
	Declared json.RawMessage
	// Deployed is what it is, as JSON. A null takes the attribute away.
	Deployed json.RawMessage
	// Sensitive values are never written.
	Sensitive bool
}

// Remove is a resource that the code shall not have any more.
//
// Where it was deleted outside, its block goes, and nothing is needed in its
// place: Terraform sees while it refreshes that the object is gone, drops it
// from the state, and has nothing to do. Where the resource exists and shall
// only be forgotten, a removed block takes the place of its block (Terraform
// 1.7 or later); without it Terraform would destroy the object.
//
// The comment lines directly above a block go with it, and so do import blocks
// for the resource.
type Remove struct {
	Address string
	Forget  bool // it exists
}

// Import is a resource of the code that exists, and that the state does not
// have: an import block (Terraform 1.5 or later) follows the resource, or the
// call of its module, since only the root module may have it. The module may be
// called many times, and be anywhere. Whether the code makes an instance of
// that address is Terraform's to say.
type Import struct {
	Address string
	ID      string // as the provider's documentation says for imports
}

// Result is what came of an edit.
type Result struct {
	Files map[string][]byte // new contents of files that change, by their names in the checkout
	Not   []Not             // what could not be expressed, in the order of Wanted
}

// Not is an edit that was not done.
type Not struct {
	Address   string
	Attribute string // "" where the resource as a whole is meant
	Why       string // a sentence for people, without a full stop, that begins in lower case or with a name of the code
}

// Apply returns what files have to be like for the code of the project in dir
// to say what is wanted. Files of its directory change, and those of local
// modules that are called exactly once in the whole checkout; no others, and
// no symbolic links. An edit that the code says already changes nothing, so a
// second Apply on the result of the first changes nothing either.
//
// tree is the checkout; its links are not followed if it is an fs.ReadLinkFS.
// dir is slash-separated and relative to it. Nothing is written. An error
// means that the checkout could not be read.
func Apply(tree fs.FS, dir string, wanted Wanted) (Result, error) {
	if !fs.ValidPath(dir) {
		return Result{}, fmt.Errorf("edit %q: %w", dir, fs.ErrInvalid)
	}
	s := &session{code.New(tree, dir)}
	var result Result
	refuse := func(address, attribute, why string) {
		if why != "" {
			result.Not = append(result.Not, Not{address, attribute, why})
		}
	}
	for _, group := range groups(wanted.Set) {
		why, err := s.set(group)
		if err != nil {
			return Result{}, fmt.Errorf("edit %s: %w", group[0].Address, err)
		}
		for _, one := range group {
			refuse(one.Address, one.Attribute, why)
		}
	}
	whys, err := s.remove(wanted.Remove)
	if err != nil {
		return Result{}, fmt.Errorf("remove from %s: %w", dir, err)
	}
	for i, one := range wanted.Remove {
		refuse(one.Address, "", whys[i])
	}
	for _, one := range wanted.Import {
		why, err := s.imports(one)
		if err != nil {
			return Result{}, fmt.Errorf("import %s: %w", one.Address, err)
		}
		refuse(one.Address, "", why)
	}
	for _, address := range wanted.Forget {
		why, err := s.forget(address)
		if err != nil {
			return Result{}, fmt.Errorf("forget %s: %w", address, err)
		}
		refuse(address, "", why)
	}
	result.Files = s.Changed()
	return result, nil
}

// Bare is an address without keys of instances: that of the block which makes
// them all. It is the text itself where that is no address of a resource.
func Bare(address string) string {
	if a, why := code.ParseAddress(address); why == "" {
		return a.Bare()
	}
	return address
}

// session is one Apply.
type session struct{ *code.Tree }

// groups puts edits of instances of the same resource together, in the order
// of the first of each.
func groups(all []Set) [][]Set {
	var order [][]Set
	at := map[[2]string]int{}
	for _, one := range all {
		key := [2]string{Bare(one.Address), one.Attribute}
		i, ok := at[key]
		if !ok {
			i = len(order)
			at[key] = i
			order = append(order, nil)
		}
		order[i] = append(order[i], one)
	}
	return order
}

// set makes the code say the value of one attribute. It returns why it cannot.
func (s *session) set(group []Set) (why string, err error) {
	one := group[0]
	for _, other := range group {
		if other.Sensitive {
			return "its value is sensitive, and weir does not write secrets into code", nil
		}
	}
	p, why, err := s.Find(one.Address)
	if why != "" || err != nil {
		return why, err
	}
	if reserved[one.Attribute] {
		return fmt.Sprintf("%s is Terraform's own, no attribute of the resource", one.Attribute), nil
	}
	want, err := literal.Parse(one.Deployed)
	if err != nil {
		return "", fmt.Errorf("deployed value of %s: %w", one.Attribute, err)
	}
	declared, err := parseDeclared(one.Declared)
	if err != nil {
		return "", fmt.Errorf("declared value of %s: %w", one.Attribute, err)
	}
	addresses := make([]string, 0, len(group))
	for _, other := range group {
		v, err := literal.Parse(other.Deployed)
		if err != nil {
			return "", fmt.Errorf("deployed value of %s: %w", other.Attribute, err)
		}
		if !literal.Same(v, want) {
			return "the values of the instances differ, and one text makes them all", nil
		}
		addresses = append(addresses, other.Address)
	}
	if why := p.Whole(addresses); why != "" {
		return why, nil
	}
	if why := p.Ignores(one.Attribute); why != "" {
		return why, nil
	}
	where := p.Holding(one.Attribute)
	if where == nil {
		if from := follows[one.Attribute]; from != "" && literal.Known(declared) {
			return fmt.Sprintf("%s is worked out from %s and the provider's configuration", one.Attribute, from), nil
		}
		where = &p.Declared[0]
	}
	if where.File.Link {
		return linked(where.File), nil
	}
	change := func(f *code.File, done bool) (*edits, string) {
		e := &edits{file: f, dir: p.Dir, kind: p.Address.Kind, done: done}
		why := e.attribute(f.Body.Blocks[where.Index], one.Attribute, declared, want, true)
		if why == "" {
			e.flush()
		}
		return e, why
	}
	e, why := change(where.File, false)
	if why != "" || len(e.splices) == 0 {
		return why, nil
	}
	next, err := where.File.With(e.splices)
	if err != nil {
		return fmt.Sprintf("weir could not write it: %v", err), nil
	}
	// The text has to read as what was asked for.
	if again, why := change(next, true); why != "" || len(again.splices) > 0 {
		return "weir could not write it so that it reads as the same value again", nil
	}
	s.Replace(next)
	return "", nil
}

// reserved are names in a resource block that no provider may give.
var reserved = map[string]bool{
	"": true, "count": true, "for_each": true, "provider": true, "depends_on": true, "lifecycle": true,
	"provisioner": true, "connection": true, "dynamic": true,
}

// follows are attributes that providers work out from another one and the
// default tags or labels of their own configuration.
var follows = map[string]string{
	"tags_all": "tags", "effective_labels": "labels", "terraform_labels": "labels", "effective_annotations": "annotations",
}

// parseDeclared is literal.Parse, where nothing is a value that is not known.
func parseDeclared(raw json.RawMessage) (cty.Value, error) {
	if len(raw) == 0 {
		return cty.NilVal, nil
	}
	return literal.Parse(raw)
}
