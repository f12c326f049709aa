package prints

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// dotted finds two or three names with dots between, and what stands in
	// brackets after the second one.
	dotted = regexp.MustCompile(`([\p{L}_][\p{L}\p{N}_-]*)\x00?\.\x00?([\p{L}_][\p{L}\p{N}_-]*)(\x00?\[[^\[\]]*\])?(?:\x00?\.\x00?([\p{L}_][\p{L}\p{N}_-]*))?`)
	// escaped is a character in JSON that need not be written so.
	escaped = regexp.MustCompile(`\\u[0-9a-fA-F]{4}`)
)

// References returns what a print may refer to: "var.a", "local.a", "data.a.b",
// "ephemeral.a.b", outputs of modules as "module.a.out" and attributes of
// resources as "aws_vpc.a.id", or "module.a.*" and "aws_vpc.a.*" where it is
// not clear which, sorted, each once. Texts that look like it are among them.
// A print of JSON is the text itself, without formatting.
func References(text string) []string {
	if strings.Contains(text, `\u`) {
		text += "\n" + escaped.ReplaceAllStringFunc(text, func(code string) string {
			r, err := strconv.ParseUint(code[2:], 16, 16)
			if err != nil {
				return code
			}
			return string(rune(r))
		})
	}
	var names []string
	for _, m := range dotted.FindAllStringSubmatch(text, -1) {
		names = append(names, reference(m[1], m[2], m[4], m[3] != "")...)
		if m[3] != "" {
			names = append(names, References(m[3])...) // has no brackets in it
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func reference(first, second, third string, index bool) []string {
	switch first {
	case "var", "local":
		return []string{first + "." + second}
	case "data", "ephemeral":
		if third == "" || index {
			return nil
		}
		return []string{first + "." + second + "." + third}
	case "each", "count", "path", "self", "terraform":
		return nil
	}
	if third == "" {
		third = "*"
	}
	return []string{first + "." + second + "." + third}
}
