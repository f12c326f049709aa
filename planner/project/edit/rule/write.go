package rule

import (
	"regexp"
	"strconv"
	"strings"

	"weir/planner/project/config"
)

// style is how lists of a file are indented. The zero value is no indentation
// of lists, and one space after a hyphen.
type style struct {
	list int // from the key to the hyphens of its list
	gap  int // from the hyphen to what it begins, less the usual 2
}

// entry returns the lines of an entry of a list whose hyphen has indent
// columns before it.
func (s style) entry(indent int, lines []string) []string {
	inner := strings.Repeat(" ", indent+2+s.gap)
	for i, line := range lines {
		lines[i] = inner + line
	}
	lines[0] = strings.Repeat(" ", indent) + "-" + lines[0][indent+1:]
	return lines
}

// keyed returns the lines of a key with a list.
func (s style) keyed(key string, entries [][]string) []string {
	lines := []string{key + ":"}
	for _, entry := range entries {
		lines = append(lines, s.entry(s.list, entry)...)
	}
	return lines
}

// rule returns the lines of an entry of drift.
func (s style) rule(r config.DriftRule, indent int) []string {
	lines := []string{"dirs: " + flow(r.Dirs)}
	if r.Schedule != "" {
		lines = append(lines, "schedule: "+scalar(r.Schedule))
	}
	if r.Timezone != "" {
		lines = append(lines, "timezone: "+scalar(r.Timezone))
	}
	lines = append(lines, s.ignore(r.Ignore)...)
	var severity [][]string
	for _, r := range r.Severity {
		var entry []string
		if r.Types != nil {
			entry = append(entry, "types: "+flow(r.Types))
		}
		if r.Attributes != nil {
			entry = append(entry, "attributes: "+flow(r.Attributes))
		}
		severity = append(severity, append(entry, "severity: "+scalar(r.Severity)))
	}
	if severity != nil {
		lines = append(lines, s.keyed("severity", severity)...)
	}
	if r.Assignees != nil {
		lines = append(lines, "assignees: "+flow(r.Assignees))
	}
	return s.entry(indent, lines)
}

// ignore returns the lines of the key ignore.
func (s style) ignore(rules []config.IgnoreRule) []string {
	var entries [][]string
	for _, r := range rules {
		entries = append(entries, ignoreRule(r))
	}
	return s.keyed("ignore", entries)
}

func ignoreRule(r config.IgnoreRule) []string {
	lines := []string{"address: " + scalar(r.Address)}
	if r.Attribute != "*" {
		lines = append(lines, "attribute: "+scalar(r.Attribute))
	}
	return append(lines, "owner: "+scalar(r.Owner), "reason: "+scalar(r.Reason), "until: "+scalar(r.Until))
}

func flow(texts []string) string {
	parts := make([]string, len(texts))
	for i, text := range texts {
		parts[i] = scalar(text)
		if strings.ContainsAny(parts[i], ",[]{}") {
			parts[i] = quoted(text)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

var (
	// What needs no quotes where a value stands alone on its line: far less than
	// YAML allows, and enough for names, sentences and days.
	plainText = regexp.MustCompile(`^[\pL][\pL\pN_./*()\[\],;'-]*( [\pL\pN_./*()\[\],;'-]+)*$|^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	// What YAML or an older YAML reads as something else than text.
	otherThanText = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null)$`)
)

// scalar writes a text as a value in a block.
func scalar(text string) string {
	if plainText.MatchString(text) && (!otherThanText.MatchString(text) || text == config.Off) {
		return text
	}
	return quoted(text)
}

// quoted writes a text in quotes: in single ones where that spares escapes.
// The escapes of Go are escapes of YAML too, with the same meaning.
func quoted(text string) string {
	double := strconv.Quote(text)
	if strings.ContainsAny(text, `"\`) && strings.Count(double, `\`) == strings.Count(text, `"`)+2*strings.Count(text, `\`) &&
		!strings.Contains(text, "'") {
		return "'" + text + "'"
	}
	return double
}
