package record

import (
	"time"

	"weir/policy"
)

// mostPosted is how many plans of a pull request can still be approved.
const mostPosted = 10

// Post remembers that the present plans can be seen and approved from a time
// on. seen are the reviews that were there after planning and before telling:
// nobody can have seen these plans who had submitted a review by then.
func (r *Record) Post(at time.Time, seen []policy.Review) {
	if r.Failure != "" || len(r.Projects) == 0 {
		return
	}
	p := policy.Posted{Head: r.Head, Digests: map[string]string{}, At: at}
	for _, project := range r.Projects {
		if project.State == Planned || project.State == NoChanges {
			p.Digests[project.ID] = project.ChangeDigest
		}
	}
	for _, review := range seen {
		p.ReviewsBefore = max(p.ReviewsBefore, review.ID)
	}
	r.Posted = append(r.Posted, p)
	r.Posted = r.Posted[max(0, len(r.Posted)-mostPosted):]
}

// UseUp takes a project out of what was approved: an approval is for one apply.
func (r *Record) UseUp(project string) {
	for _, posted := range r.Posted {
		delete(posted.Digests, project)
	}
}
