package hub

import (
	"slices"

	"weir/integration/sandbox/record"
)

// issue returns what an issue and a pull request have in common.
func (r *repo) issue(number int) (*record.Issue, error) {
	if p := r.pulls[number]; p != nil {
		return &p.Issue, nil
	}
	if i := r.issues[number]; i != nil {
		return i, nil
	}
	return nil, record.NotFound()
}

func (r *repo) issueView(i *record.Issue) record.Issue {
	v := *i
	v.Repo, v.Labels, v.Assignees = r.view(), slices.Clone(i.Labels), slices.Clone(i.Assignees)
	return v
}

// Issue returns an issue, or a pull request as one.
func (h *Hub) Issue(full string, number int) (record.Issue, error) {
	return in(h, full, func(r *repo) (record.Issue, error) {
		i, err := r.issue(number)
		if err != nil {
			return record.Issue{}, err
		}
		return r.issueView(i), nil
	})
}
