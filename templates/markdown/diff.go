package markdown

import (
	"regexp"
	"slices"
	"strings"
)

// marker is how terraform begins a line that something happens to.
var marker = regexp.MustCompile(`^( *)(\+/-|-/\+|[-+~])( |$)`)

// Diff moves terraform's markers to the beginning of their lines, where GitHub
// colours them: + green, - red, and ! (for ~) orange. Everything else keeps its
// column. Lines of a text value that only look like markers ("- a" in YAML)
// are left alone, as they would tell of a change that is none.
func Diff(plan string) string {
	lines := strings.Split(strings.Trim(Printable(plan), "\n"), "\n")
	lines = dropLegend(lines)
	heredoc := -1 // column of the marker of the attribute whose text is being read
	for i, line := range lines {
		if heredoc >= 0 {
			// Terraform puts the lines of a text six columns to the right
			// of its marker, theirs four, and the end two.
			indent := len(line) - len(strings.TrimLeft(line, " "))
			if indent == heredoc+2 && strings.HasPrefix(line[indent:], "EOT") {
				heredoc = -1
			} else if m := marker.FindStringSubmatch(line); m != nil && len(m[1]) == heredoc+4 {
				lines[i] = moved(line, m)
			}
			continue
		}
		m := marker.FindStringSubmatch(line)
		if strings.HasSuffix(line, "<<-EOT") || strings.HasSuffix(line, "<<EOT") {
			if m != nil {
				heredoc = len(m[1]) + len(m[2]) - 1
			} else {
				heredoc = max(0, len(line)-len(strings.TrimLeft(line, " "))-2)
			}
		}
		if m != nil {
			lines[i] = moved(line, m)
		}
	}
	return strings.Join(lines, "\n")
}

// moved puts a marker at the beginning of its line and a space where it was.
func moved(line string, m []string) string {
	indent, sign := m[1], m[2]
	rest := line[len(indent)+len(sign):]
	switch sign {
	case "~":
		sign = "!"
	case "+/-":
		// It replaces as -/+ does, and must not look as if it only added.
		return "!" + indent + sign + rest
	}
	return sign + indent + rest
}

// dropLegend takes away the paragraph that explains the markers, which each
// plan begins with.
func dropLegend(lines []string) []string {
	at := slices.IndexFunc(lines, func(l string) bool {
		return strings.HasSuffix(l, "used the selected providers to generate the following execution")
	})
	if at < 0 {
		return lines
	}
	end := at
	for end < len(lines) && strings.TrimSpace(lines[end]) != "" {
		end++
	}
	for end < len(lines) && strings.TrimSpace(lines[end]) == "" {
		end++
	}
	return slices.Concat(lines[:at], lines[end:])
}

// A Part is some lines of a plan with the class that colours it.
type Part struct{ Class, Text string }

// Coloured parts a plan by the colours that Diff gives its lines, for a page.
func Coloured(plan string) []Part {
	var parts []Part
	for line := range strings.SplitSeq(Diff(plan), "\n") {
		class := ""
		if line != "" {
			class = map[byte]string{'+': "add", '-': "del", '!': "chg"}[line[0]]
		}
		// The mark ! is for GitHub's colours only.
		if rest, ok := strings.CutPrefix(line, "!+/-"); ok {
			line = "+/-" + rest
		} else if class == "chg" {
			line = "~" + line[1:]
		}
		// Lines of one colour are one element: plans can have many.
		if n := len(parts); n > 0 && parts[n-1].Class == class {
			parts[n-1].Text += "\n" + line
			continue
		}
		parts = append(parts, Part{class, line})
	}
	return slices.Clip(parts)
}
