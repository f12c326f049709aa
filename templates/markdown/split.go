package markdown

// Limit is the length of a comment in bytes. GitHub takes 65,536 characters
// (the validation error of its REST API, "body is too long"); bytes are never
// fewer than characters.
const Limit = 65_000

// Layout is what a comment is put together from.
type Layout struct {
	Head      string // marker, outcome and what to do now
	Continued string // marker and beginning of a second comment
	Sections  []Section
	Tail      string
}

// Section tells of one project. The shorter forms replace Full where it does
// not fit; Short always fits.
type Section struct {
	Full, Medium, Short string
}

// Split fills one comment, and then a second one, of at most Limit bytes each as
// far as head and tail allow. The order of sections is kept.
func Split(l Layout) []string {
	whole := l.Head
	for _, s := range l.Sections {
		whole += s.Full
	}
	if whole += l.Tail; len(whole) <= Limit {
		return []string{whole}
	}

	// reserve is what the sections from i on need at least.
	reserve := make([]int, len(l.Sections)+1)
	for i := len(l.Sections) - 1; i >= 0; i-- {
		reserve[i] = reserve[i+1] + len(l.Sections[i].Short)
	}
	first, second := l.Head, l.Continued
	empty := len(second)
	room := Limit - len(l.Continued) - len(l.Tail) // of an empty second comment
	for i, s := range l.Sections {
		full := s.Full
		if len(full)+reserve[i+1] > room {
			full = s.Medium // it fits nowhere
		}
		if len(second) == empty && len(first)+len(full) <= Limit {
			first += full
			continue
		}
		form := full
		if len(second)+len(form)+reserve[i+1]+len(l.Tail) > Limit {
			form = s.Medium
		}
		if len(second)+len(form)+reserve[i+1]+len(l.Tail) > Limit {
			form = s.Short
		}
		if len(second)+len(form)+len(l.Tail) > Limit {
			// Only addresses of absurd length get here; the table has them all.
			break
		}
		second += form
	}
	if len(second) == empty && len(first)+len(l.Tail) <= Limit {
		return []string{first + l.Tail}
	}
	return []string{first, second + l.Tail}
}
