// Package text reads what people write: the lines of a comment that its author
// wrote as words of their own, the words of a line, and slips in them.
package text

import "strings"

// Lines returns the lines of a Markdown text that are neither quoted nor
// code nor comment, without HTML comments that stand inside a line. What is a
// block follows the CommonMark specification as far as it decides whether a
// reader would see the line as the author's own words.
func Lines(body string) []string {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	lines := strings.Split(strings.ReplaceAll(body, "\r", "\n"), "\n")
	var (
		text   []string
		fence  *fence
		until  string // what ends the HTML block that we are in
		inline bool   // we are in an HTML comment that began inside a line
		list   bool   // we are in a list, where deeper indentation is not code
	)
	ends := commentEnds(lines)
	for i, line := range lines {
		indent, rest := indentation(line)
		switch {
		case fence != nil:
			if rest != "" && indent < fence.content {
				fence = nil // the list item that held it is over
				break
			}
			if fence.closedBy(rest) {
				fence = nil
			}
			continue
		case until != "":
			if strings.Contains(strings.ToLower(line), until) {
				until = ""
			}
			continue
		case inline:
			_, _, ended := strings.Cut(line, "-->")
			inline = !ended
			continue
		}
		item, content := listItem(rest)
		if rest != "" && (indent <= 3 || item != rest) {
			list = item != rest || list && indent > 0
		}
		if list {
			if content == 0 {
				content = 1 - indent // of an item above, which we do not remember
			}
			if f := openFence(item, indent+content); f != nil {
				fence = f
				continue
			}
		}
		if indent > 3 {
			continue // indented code, or deep inside a list
		}
		if f := openFence(rest, 0); f != nil {
			fence = f
			continue
		}
		if strings.HasPrefix(rest, ">") {
			continue
		}
		if end := htmlBlock(rest); end != "" {
			if !strings.Contains(strings.ToLower(rest), end) {
				until = end
			}
			continue
		}
		rest, inline = cutComments(rest, ends[i+1])
		text = append(text, rest)
	}
	return text
}

// indentation returns the columns of white space before a line, with tab
// stops of four, and the line without the white space around it.
func indentation(line string) (columns int, rest string) {
	for i, c := range line {
		switch c {
		case ' ':
			columns++
		case '\t':
			columns += 4 - columns%4
		default:
			return columns, strings.TrimRight(line[i:], " \t")
		}
	}
	return columns, ""
}

// listItem returns what follows the bullets and numbers at the beginning of a
// line, and how many columns they take.
func listItem(s string) (item string, columns int) {
	item = s
	for {
		n := 0
		for n < len(item) && n < 9 && '0' <= item[n] && item[n] <= '9' {
			n++
		}
		switch {
		case n == len(item):
			return item, columns
		case n == 0 && !strings.ContainsRune("-*+", rune(item[0])):
			return item, columns
		case n > 0 && item[n] != '.' && item[n] != ')':
			return item, columns
		}
		spaces, rest := indentation(item[n+1:])
		if spaces == 0 || rest == "" {
			return item, columns
		}
		columns += n + 1 + spaces
		item = rest
	}
}

// fence is open fenced code.
type fence struct {
	mark    string // its opening run of backticks or tildes
	content int    // columns that its lines are indented by, inside a list
}

func openFence(s string, content int) *fence {
	for _, mark := range []string{"`", "~"} {
		info := strings.TrimLeft(s, mark)
		if n := len(s) - len(info); n >= 3 && (mark == "~" || !strings.Contains(info, "`")) {
			return &fence{mark: s[:n], content: content}
		}
	}
	return nil
}

func (f fence) closedBy(s string) bool {
	return strings.HasPrefix(s, f.mark) && strings.Trim(s, f.mark[:1]) == ""
}

// htmlBlock returns what ends the block of HTML that a line begins, for those
// blocks whose content is not text.
func htmlBlock(s string) (end string) {
	if strings.HasPrefix(s, "<!--") {
		return "-->"
	}
	for _, tag := range []string{"pre", "script", "style", "textarea"} {
		if len(s) > len(tag) && s[0] == '<' && strings.EqualFold(s[1:1+len(tag)], tag) &&
			(len(s) == 1+len(tag) || strings.ContainsRune(" \t>", rune(s[1+len(tag)]))) {
			return "</" + tag + ">"
		}
	}
	return ""
}

// commentEnds says for each line, and for the end of the text, whether an HTML
// comment that is open before it ends in it or later in the same paragraph.
func commentEnds(lines []string) []bool {
	ends := make([]bool, len(lines)+1)
	for i := len(lines) - 1; i >= 0; i-- {
		ends[i] = strings.TrimSpace(lines[i]) != "" && (strings.Contains(lines[i], "-->") || ends[i+1])
	}
	return ends
}

// cutComments removes the HTML comments in a line. open says that the last of
// them ends in a later line; one that never ends is text.
func cutComments(line string, endsLater bool) (text string, open bool) {
	for {
		before, after, found := strings.Cut(line, "<!--")
		if !found || strings.Count(before, "`")%2 == 1 { // the latter is code
			return text + line, false
		}
		_, rest, ended := strings.Cut(after, "-->")
		switch {
		case ended:
			text, line = text+before+" ", rest
		case endsLater:
			return text + before, true
		default:
			return text + line, false
		}
	}
}
