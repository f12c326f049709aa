package code

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"weir/planner/project/module"
)

// users is what of the checkout uses what else.
type users struct {
	calls []call
	links []link
}

type call struct {
	at     string // file and line
	from   string // directory
	target string
	open   bool // target is only the beginning
}

type link struct{ name, target string }

// callers returns where a directory is called as a module, in the whole
// checkout.
func (s *Tree) callers(dir string) ([]string, error) {
	u, err := s.usage()
	if err != nil {
		return nil, err
	}
	var at []string
	for _, c := range u.calls {
		switch {
		case !c.open && c.target == dir:
			at = append(at, c.at)
		case c.open && c.from != dir && (c.target == "." || strings.HasPrefix(dir, c.target)):
			at = append(at, c.at+" (whose source is worked out)")
		}
	}
	return at, nil
}

// shared returns why files of a directory may belong to others, too: it is
// reached through a symbolic link, or one leads to it.
func (s *Tree) shared(dir string) (string, error) {
	u, err := s.usage()
	if err != nil {
		return "", err
	}
	for _, l := range u.links {
		switch {
		case dir == l.name || strings.HasPrefix(dir, l.name+"/"):
			return fmt.Sprintf("%s is a symbolic link, and what it leads to may be used elsewhere", l.name), nil
		case dir == l.target || strings.HasPrefix(dir, l.target+"/"),
			path.Dir(l.target) == dir && path.Dir(l.name) != dir && module.IsSource(l.target):
			return fmt.Sprintf("the symbolic link %s leads to %s, so a change would reach both", l.name, l.target), nil
		}
	}
	return "", nil
}

// usage reads all Terraform files of the checkout, once.
func (s *Tree) usage() (*users, error) {
	if s.users != nil {
		return s.users, nil
	}
	u := &users{}
	links, _ := s.tree.(fs.ReadLinkFS)
	err := fs.WalkDir(s.tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && pruned(d.Name()):
			return fs.SkipDir
		case d.Type()&fs.ModeSymlink != 0 && links != nil:
			to, err := links.ReadLink(name)
			if err != nil {
				return err
			}
			u.links = append(u.links, link{name, path.Join(path.Dir(name), to)})
		}
		if !module.IsSource(name) || d.IsDir() {
			return nil
		}
		data, err := s.read(name)
		switch {
		case err != nil && !d.Type().IsRegular():
			return nil // a link that leads nowhere
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		var m module.Module
		m.Add(name, data)
		for _, c := range m.Calls {
			u.calls = append(u.calls, call{
				fmt.Sprintf("%s line %d", name, c.Line), path.Dir(name), path.Join(path.Dir(name), c.Source), c.Open,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.users = u
	return u, nil
}

// pruned names directories that belong to a tool and hold no project.
func pruned(name string) bool {
	return strings.EqualFold(name, ".git") || name == ".terraform" || name == ".terragrunt-cache" || name == "node_modules"
}
