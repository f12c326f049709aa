package edit

import (
	"fmt"
	"slices"
	"strings"

	"weir/planner/project/edit/code"
)

// remove takes resources out of the code. It returns, for each, why it cannot.
func (s *session) remove(all []Remove) ([]string, error) {
	whys := make([]string, len(all))
	found := map[string]*code.Declaration{}
	of := map[string][]string{} // addresses that are to go, by their bare one
	for i, one := range all {
		p, why, err := s.Find(one.Address)
		if err != nil {
			return nil, err
		}
		if a, bad := code.ParseAddress(one.Address); why != "" && bad == "" && s.Gone(a, one.Forget) {
			why = ""
		}
		if whys[i] = why; p == nil {
			continue
		}
		bare := p.Address.Bare()
		found[bare] = p
		of[bare] = append(of[bare], one.Address)
	}
	fail := func(bare, why string) {
		delete(found, bare)
		for i, one := range all {
			if slices.Contains(of[bare], one.Address) {
				whys[i] = why
			}
		}
	}
	for bare, p := range found {
		why := p.Whole(of[bare])
		if why != "" {
			why += ": what is gone is to be taken out of it by hand (" + p.Declared[0].At() + ")"
		}
		for _, at := range p.Declared {
			if at.File.Link {
				why = linked(at.File)
			}
		}
		if why != "" {
			fail(bare, why)
		}
	}
	// What stays because something else refers to it may refer to more.
	for again := true; again; {
		again = false
		for bare, p := range found {
			if used := p.Used(found); used != "" {
				fail(bare, fmt.Sprintf("%s.%s is still used in %s", p.Address.Kind, p.Address.Name, used))
				again = true
			}
		}
	}
	for i, one := range all {
		a, bad := code.ParseAddress(one.Address)
		if bad != "" || whys[i] != "" || found[a.Bare()] == nil {
			continue
		}
		delete(found, a.Bare())
		if why, err := s.drop(one); why != "" || err != nil {
			if err != nil {
				return nil, err
			}
			whys[i] = why
		}
	}
	return whys, nil
}

// drop removes one resource.
func (s *session) drop(one Remove) (string, error) {
	p, why, err := s.Find(one.Address)
	if why != "" || err != nil {
		return why, err
	}
	splices := map[*code.File][]code.Splice{}
	var order []*code.File
	for i, at := range slices.Concat(p.Declared, s.Imports(p.Address)) {
		f := at.File
		if f.Link {
			return linked(f), nil
		}
		if splices[f] == nil {
			order = append(order, f)
		}
		from, to := f.Extent(at.Block())
		text := ""
		if i == 0 && one.Forget {
			from, to = at.Block().TypeRange.Start.Byte, at.Block().CloseBraceRange.End.Byte
			text = strings.ReplaceAll(removedBlock(p.Address.Kind+"."+p.Address.Name), "\n", f.EOL)
		}
		splices[f] = append(splices[f], code.Splice{From: from, To: to, Text: text})
	}
	var done []*code.File
	for _, f := range order {
		next, err := f.With(splices[f])
		if err != nil {
			return fmt.Sprintf("weir could not remove it: %v", err), nil
		}
		done = append(done, next)
	}
	for _, f := range done {
		s.Replace(f)
	}
	return "", nil
}
