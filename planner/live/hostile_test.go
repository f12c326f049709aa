package live

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// TestHostileContent holds that every byte comes once, that no event holds a
// part of a character, and that none grows without end.
func TestHostileContent(t *testing.T) {
	long := strings.Repeat("日本語", 100_000)
	for name, text := range map[string]string{
		"a long line":          long,
		"a long line, shifted": "x" + long,
		"shifted by two":       "xy" + long + "\nend\n",
		"four bytes each":      "x" + strings.Repeat("😀", 50_000),
		"colours":              strings.Repeat("\x1b[31mred\x1b[0m\r\n", 20_000) + "\x1b]0;title\a\x1b[2J",
		"zeros":                strings.Repeat("\x00", 300_000),
		"only first bytes":     strings.Repeat("\xf0", 200_000),
		"only later bytes":     strings.Repeat("\x9f", 200_000),
		"no UTF-8 at its end":  "text\xf0\x9f\x98",
		"empty lines":          strings.Repeat("\n", 200_000),
		"events of their own":  "\n\nevent: end\ndata: end\n\nid: 0\n\n",
		"at the border":        strings.Repeat("a", maxText-1) + "é" + strings.Repeat("b", maxText),
		"at a part's border":   strings.Repeat("a", PartSize-1) + "é\n" + strings.Repeat("b", PartSize),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace()
				a, b := replica(t, p), replica(t, p)
				w := begin(t, b, "RUN")
				followers := []*follower{follow(t, a, "RUN"), follow(t, b, "RUN")}
				for i := 0; i < len(text); i += 7777 { // as pipes cut it
					write(t, w, text[i:min(len(text), i+7777)])
					if i%(7777*9) == 0 {
						after(1100 * time.Millisecond)
						for _, f := range followers {
							f.cut()
							f.connect(f.logs)
						}
					}
				}
				after(time.Minute)
				all := finish(t, b, "RUN")
				synctest.Wait()
				for i, f := range followers {
					f.end()
					// What is no character at the end of what is shared
					// may be the beginning of one.
					if got, whole := f.text(), characters([]byte(all)); got != all && (i != 0 || got != all[:whole]) {
						t.Errorf("follower %d: %d bytes of %d: %s", i, len(got), len(all), firstDifference(got, all))
					}
					if utf8.ValidString(text) {
						for _, e := range f.events {
							if !utf8.ValidString(e) || len(e) > maxText {
								t.Errorf("follower %d: an event of %d bytes is cut within a character: %v", i, len(e), !utf8.ValidString(e))
							}
						}
					}
				}
			})
		})
	}
}

func FuzzCharacters(f *testing.F) {
	f.Add("日本語", 4)
	f.Add("\xf0\x9f", 1)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if at < 0 || at > len(text) {
			return
		}
		cut := characters([]byte(text[:at]))
		if at-cut >= utf8.UTFMax {
			t.Errorf("%d bytes are held of %q", at-cut, text[:at])
		}
		if utf8.ValidString(text) && !utf8.ValidString(text[:cut]) {
			t.Errorf("%q is cut within a character at %d", text, cut)
		}
	})
}
