package markdown

import (
	"fmt"
	"slices"
	"strings"
)

// Names joins names as code: `a`, `b` and 3 more.
func Names(all []string) string {
	const most = 8
	shown := make([]string, 0, most)
	for _, name := range all[:min(len(all), most)] {
		shown = append(shown, Code(name))
	}
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), len(all)-most)
	}
	if len(all) > 1 {
		return strings.Join(shown[:len(shown)-1], ", ") + " and " + shown[len(shown)-1]
	}
	return strings.Join(shown, "")
}

// Bounded keeps as many lines as fit into so many bytes, and says how many do
// not: more has one %d.
func Bounded(lines []string, room int, more string) []string {
	size := 0
	for i, line := range lines {
		if size += len(line) + 1; size > room {
			return append(slices.Clone(lines[:i]), fmt.Sprintf(more, len(lines)-i))
		}
	}
	return lines
}
