package markdown

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// FuzzSplit: the parts of a comment join to the whole; a section is told whole,
// shorter, or by name, each at most once and in order.
func FuzzSplit(f *testing.F) {
	f.Add(100, []byte{1, 2, 3})
	f.Add(30_000, []byte{200, 200, 10, 200, 1, 255})
	f.Add(60_000, bytes.Repeat([]byte{90}, 98))
	f.Add(0, []byte{255, 1, 1, 255, 1, 1, 1})
	f.Fuzz(func(t *testing.T, headSize int, sizes []byte) {
		headSize, sizes = min(max(headSize, 0), 60_000), sizes[:min(len(sizes), 98)]
		l := Layout{
			Head: "<HEAD>" + strings.Repeat("h", headSize) + "\n", Continued: "<CONTINUED>\n", Tail: "<TAIL>\n",
		}
		whole := l.Head
		for i, size := range sizes {
			s := Section{
				Full:   fmt.Sprintf("<F%d>%s\n", i, strings.Repeat("f", int(size)*400)),
				Medium: fmt.Sprintf("<M%d>%s\n", i, strings.Repeat("m", 1000)),
				Short:  fmt.Sprintf("<S%d>%s\n", i, strings.Repeat("s", 300)),
			}
			l.Sections = append(l.Sections, s)
			whole += s.Full
		}
		whole += l.Tail
		parts := Split(l)
		joined := parts[0]
		if len(parts) == 2 {
			rest, ok := strings.CutPrefix(parts[1], l.Continued)
			if !ok {
				t.Fatalf("the second part begins with %.20q", parts[1])
			}
			joined += rest
		}
		for i, part := range parts {
			if len(part) > Limit {
				t.Errorf("part %d has %d bytes", i+1, len(part))
			}
		}
		rest, ok := strings.CutPrefix(joined, l.Head)
		if !ok {
			t.Fatal("the head is not whole")
		}
		shortened := 0
		for i, s := range l.Sections {
			cut := false
			for _, form := range []string{s.Full, s.Medium, s.Short} {
				if after, ok := strings.CutPrefix(rest, form); ok {
					rest, cut = after, true
					break
				}
				shortened++
			}
			if !cut {
				t.Fatalf("section %d is missing before %.20q", i, rest)
			}
		}
		if rest != l.Tail {
			t.Errorf("after the sections comes %.20q", rest)
		}
		if shortened == 0 && joined != whole {
			t.Error("the parts do not join to the whole")
		}
		if len(whole) <= Limit && (len(parts) != 1 || parts[0] != whole) {
			t.Error("it fits in one comment, but was split")
		}
	})
}
